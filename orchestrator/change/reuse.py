"""What a submission may leave as it is: training and evaluations that still hold.

Pure over records: two identities, a plan, and what an earlier generation leaves. A training holds
when its module is unchanged, with all that runs in its process; an evaluation when nothing that the
module reaches has changed either. What was trained upon something that is trained anew, `carried`
takes out again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rootward.modules.identity.changes import changes, code_unchanged

from ..errors import PlanError
from ..planning.carried import CARRIED_KINDS, kind_of, take_over, untakeable
from ..planning.graph import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from rootward.modules.identity.changes import TreeChanges
    from rootward.modules.identity.record import TreeIdentity

    from ..planning.carried import Carried, Trained
    from ..planning.graph import PlanGraph

_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """What a generation has of an earlier one, `source` (NAME@GENERATION).

    `tasks` are the ids of those that didn't run again. `is_all` says that nothing was to be done at
    all, and `note` why nothing could be taken over, if so.
    """

    source: str
    tasks: tuple[str, ...] = ()
    is_all: bool = False
    note: str = ""

    def lines(self) -> Iterator[str]:
        """Yield a line for each thing that was reused."""
        if self.is_all:
            yield f"nothing has changed: {self.source} stays current, and no task runs"
        if self.note:
            yield f"everything runs: {self.note}"
        for task in self.tasks:
            kind, _, path = task.partition(":")
            what = "training" if kind == Kind.TRAIN else "evaluation"
            yield f"{path}: {what} taken over from {self.source}"


def holding_tasks(plan: PlanGraph, found: TreeChanges) -> set[str]:
    """Return the ids of the plan's tasks whose modules are as they were."""
    by_path = {each.path: each for each in found.modules}
    holding = set()
    for id_ in plan.ids:
        kind, _, path = id_.partition(":")
        each = by_path.get(path)
        if kind not in CARRIED_KINDS or each is None or each.mark != "unchanged":
            continue
        if kind == Kind.TRAIN or not each.reaches_changed:
            holding.add(id_)
    return holding


def is_nothing_to_do(plan: PlanGraph, found: TreeChanges, succeeded: Collection[str]) -> bool:
    """Whether a generation whose tasks `succeeded` is all that the plan would make of the tree."""
    if not found.is_empty:
        return False
    # What prepares isn't needed for anything but speed; joins have no work.
    needed = (id_ for id_ in plan.ids if kind_of(id_) not in {Kind.JOIN, Kind.PREPARE})
    return all(id_ in succeeded for id_ in needed)


def reusable(
    plan: PlanGraph, earlier: Trained, old: TreeIdentity, new: TreeIdentity
) -> Carried | None:
    """Return what a plan takes over for the modules that are unchanged; None for nothing."""
    tasks = holding_tasks(plan, changes(old, new)) & set(earlier.succeeded)
    tasks -= set(untakeable(plan, earlier, tasks))
    return take_over(plan, earlier, tasks) if tasks else None


def trained_before(
    plan: PlanGraph, earlier: Trained, old: TreeIdentity | None, new: TreeIdentity
) -> Carried:
    """Return the training of all modules of a plan as an earlier generation has it.

    Raises PlanError, which names the modules for which there is none that fits, and why.
    """
    wanted = {id_ for id_ in plan.ids if kind_of(id_) == Kind.TRAIN}
    if old is None:
        raise PlanError(
            f"{plan.deployment} would be served untrained: {earlier.id} has no record of the code "
            "that it was trained with; deploy with train too (`--kinds train,deploy`)"
        )
    same = code_unchanged(old, new)
    missing = {
        id_.partition(":")[2]: f"its code is another than that of {earlier.id}"
        for id_ in wanted
        if id_.partition(":")[2] not in same
    }
    for id_, why in untakeable(plan, earlier, wanted).items():
        missing.setdefault(id_.partition(":")[2], why)
    if missing:
        raise PlanError(_untrained(plan.deployment, missing))
    return take_over(plan, earlier, wanted)


def _untrained(name: str, missing: dict[str, str]) -> str:
    told = "; ".join(f"{path} ({why})" for path, why in sorted(missing.items())[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return (
        f"{name} would be served untrained: {told}{more}; deploy with train too "
        "(`--kinds train,deploy`)"
    )
