"""What a new generation takes over of an earlier one: tasks that hold, and what they changed.

A task that is taken over has succeeded when the new generation begins; the entries that it wrote to
the earlier state log are carried as the bytes that they are, in their order, and never encoded
again. Everything that can't be right is refused before anything is stored. Which modules are
unchanged is decided elsewhere; reading the earlier generation, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rootward.modules.state.entries import origin_of

from ..errors import PlanError
from .graph import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from rootward.modules.state.entries import EntryOrigin

    from .graph import PlanGraph

CARRIED_KINDS = frozenset({str(Kind.TRAIN), str(Kind.EVAL)})
"""The kinds of tasks whose outcome is their states: what is deployed has to run anew."""


class CantTakeOver(PlanError):
    """What an earlier generation has done can't be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What an earlier generation leaves to later ones.

    `succeeded` are the ids of its tasks that have, `entries` its state log, opened, in order.
    """

    id: str
    generation: int
    succeeded: frozenset[str]
    entries: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a generation begins with: `tasks` are done, `states` is what they have changed.

    `source` is the number of the generation that it comes from.
    """

    source: int
    tasks: frozenset[str]
    states: tuple[bytes, ...] = ()


def take_over(plan: PlanGraph, earlier: Trained, tasks: Collection[str]) -> Carried:
    """Return what the plan takes over when those of its tasks (ids) are not to run again.

    Raises CantTakeOver, which names the tasks that must run and says why.
    """
    chosen = frozenset(tasks)
    refused = untakeable(plan, earlier, chosen)
    if refused:
        told = "; ".join(f"{task}: {why}" for task, why in sorted(refused.items())[:10])
        more = f"; and {len(refused) - 10} more" if len(refused) > 10 else ""
        raise CantTakeOver(f"{earlier.id} can't be taken over: {told}{more}")
    states = tuple([entry for entry in earlier.entries if origin_of(entry).writer in chosen])
    return Carried(source=earlier.generation, tasks=chosen, states=states)


def untakeable(plan: PlanGraph, earlier: Trained, tasks: Collection[str]) -> Mapping[str, str]:
    """Return which of the tasks (ids) of a plan can't be taken over, each with the reason.

    What remains can be: a task holds only with what it was trained upon, and with all that have
    written to the same modules. Raises CantTakeOver where no task could tell what it has written.
    """
    chosen = set(tasks)
    refused = _unknown(plan, earlier, chosen)
    origins = [origin_of(entry) for entry in earlier.entries]
    if not all(origin.writer for origin in origins):
        raise CantTakeOver(
            f"{earlier.id} can't be taken over: an older version of rootward ran it, which didn't "
            "note which task a state is of; deploy it whole once"
        )
    chosen.difference_update(refused)
    while found := _stale(plan, chosen) | _mixed(plan, origins, chosen):
        refused |= found
        chosen.difference_update(found)
    return refused


def _unknown(plan: PlanGraph, earlier: Trained, chosen: Collection[str]) -> dict[str, str]:
    known, refused = frozenset(plan.ids), dict[str, str]()
    for task in chosen:
        if task not in known or kind_of(task) not in CARRIED_KINDS:
            refused[task] = "it is no task whose states could be carried"
        elif task not in earlier.succeeded:
            refused[task] = f"it has not succeeded in {earlier.id}"
    return refused


def _stale(plan: PlanGraph, chosen: Collection[str]) -> dict[str, str]:
    """Return the chosen that were trained upon, or evaluated with, what is trained anew."""
    ids, refused = plan.ids, dict[str, str]()
    again = [id_ for id_ in ids if kind_of(id_) == Kind.TRAIN and id_ not in chosen]
    for id_, (kind, _, after) in zip(ids, plan.steps, strict=True):
        if id_ not in chosen:
            continue
        below = [ids[each] for each in after if kind_of(ids[each]) == Kind.TRAIN]
        stale = again if kind == Kind.EVAL else [each for each in below if each not in chosen]
        if stale:
            refused[id_] = f"{stale[0]}, which it builds on, runs anew"
    return refused


def _mixed(
    plan: PlanGraph, origins: Sequence[EntryOrigin], chosen: Collection[str]
) -> dict[str, str]:
    """Return the chosen that have written to a module that is gone, or trained anew."""
    modules, refused = frozenset(plan.modules), dict[str, str]()
    again = {
        id_.partition(":")[2]
        for id_ in plan.ids
        if kind_of(id_) == Kind.TRAIN and id_ not in chosen
    }
    for writer, paths in origins:
        for path in paths if writer in chosen else ():
            if path not in modules:
                refused[writer] = f"it has changed {path}, which is gone"
            elif path in again and kind_of(writer) == Kind.TRAIN:
                refused[writer] = f"it has changed {path}, too, which is trained anew"
    return refused


def kind_of(task: str) -> str:
    """Return the kind of a task, by its id."""
    return task.partition(":")[0]


def barriers(after: Sequence[tuple[int, ...]], is_done: Sequence[bool]) -> list[tuple[int, ...]]:
    """Return what each task of a plan still waits for when some are done before it begins.

    What a done task would have waited for, its dependants wait for in its place.
    """
    left: list[tuple[int, ...]] = []
    for before in after:
        if any(is_done[each] for each in before):
            own = [left[each] if is_done[each] else (each,) for each in before]
            left.append(tuple(sorted(set[int]().union(*own))))
        else:
            left.append(before)
    return left
