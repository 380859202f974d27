"""What a submission begins with: its plan, its packed tree, and what an earlier generation gives.

With `changed` only what differs from the current generation runs, and nothing at all when nothing
does. A deploy without training takes the trained states of the newest generation that has them.
Everything is read and decided here, before anything is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rootward.modules.identity.changes import changes
from rootward.modules.identity.record import TreeIdentity

from ...change.difference import current_identity
from ...change.reuse import Reuse, is_nothing_to_do, reusable, trained_before
from ...errors import PlanError
from ...planning.carried import CantTakeOver
from ...planning.collect import is_whole, plan_tree, refuse_untrained, untrained
from ...planning.graph import ALL_KINDS, Kind
from ...planning.submission import Order, retention_of
from ...states import DeploymentState, TaskState
from .earlier import read_earlier, why_unusable
from .takeover import rollout_of

if TYPE_CHECKING:
    from rootward.modules.identity.changes import TreeChanges

    from ...change.pinned import PinnedPlan
    from ...planning.carried import Carried
    from ...planning.definition import Definition, Packable, Packed
    from ...planning.plan import Plan
    from ...planning.rollouts import Takeover
    from ..connected import Connected
    from .earlier import Earlier


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A plan of some kinds of tasks with what it begins with.

    `stays` is the generation that is left as it is, if there is nothing to do. `expects` is the
    number of the generation that must be current, empty for none; None for any.
    """

    packed: Packable
    plan: Plan
    kinds: tuple[str, ...]
    makes_current: bool
    expects: str | None = None
    taken: Carried | None = None
    reuse: Reuse | None = None
    stays: int | None = None

    def order(
        self,
        client: Connected,
        takeover: Takeover,
        *,
        retries: int,
        timeout: float | None,
        keep: int | None,
    ) -> Order:
        """Return the order for it; PlanError for wishes that can't be had."""
        return Order(
            kinds=self.kinds,
            makes_current=self.makes_current,
            retries=retries,
            timeout=timeout,
            history_s=client.settings.history_days * 86400,
            how="deploy" if takeover.get("canary") is None else "canary",
            rollout=rollout_of(client, self.plan, takeover, makes_current=self.makes_current),
            retention=retention_of(keep, client.settings.keep_warm),
            taken=self.taken,
            expects=self.expects,
        )


def begin(
    client: Connected,
    definition: Definition,
    asked: frozenset[Kind],
    *,
    recursive: bool,
    changed: bool,
    pinned: PinnedPlan | None = None,
) -> Beginning:
    """Return what a submission of those kinds of tasks begins with.

    Raises what planning and packing raise, and PlanError when modules would be served whose
    training has never run.
    """
    begun = Beginning(
        packed=definition,
        plan=plan_tree(definition.tree, asked, recursive=recursive),
        kinds=tuple(str(kind) for kind in ALL_KINDS if kind in asked),
        makes_current=Kind.DEPLOY in asked and is_whole(definition.tree, recursive=recursive),
    )
    if changed and not begun.makes_current:
        raise PlanError(
            "only a deployment of the whole tree can leave what is unchanged as it is: ask for the "
            "kind deploy and all modules, or leave out `changed`"
        )
    needs_training = Kind.DEPLOY in asked and Kind.TRAIN not in asked and untrained(definition.tree)
    if not (changed or needs_training or pinned):
        return begun
    if needs_training:
        store, name = client.store, definition.tree.name
        if not begun.makes_current or store.deployments.get(name) is None:
            refuse_untrained(definition.tree)
    packed = definition.pack(client.settings.bundle_limit)
    begun = replace(begun, packed=packed)
    if not packed.identity:
        raise PlanError(
            f"what the modules of {definition.tree.name} are made of can't be read: deploy all of "
            "it, without `changed`, a written plan or kinds that leave training out"
        )
    if pinned is not None:
        _check(client, pinned, begun.plan, packed)
        begun = replace(begun, expects=str(pinned.generation or ""))
    if needs_training:
        plan = plan_tree(definition.tree, asked | {Kind.TRAIN}, recursive=recursive)
        begun = replace(begun, plan=plan)
    if changed:
        begun = _of_changes(client, packed, begun)
    if needs_training and begun.stays is None:
        begun = _trained(client, packed, begun)
    return begun


def _check(client: Connected, pinned: PinnedPlan, plan: Plan, packed: Packed) -> None:
    number, old = current_identity(client.store, client.signer, plan.deployment)
    current = "" if old is None else old.digest
    pinned.check(plan, TreeIdentity.from_bytes(packed.identity), number, current)


def _of_changes(client: Connected, packed: Packed, begun: Beginning) -> Beginning:
    """Take over what is unchanged since the current generation."""
    store, plan = client.store, begun.plan
    number, old = current_identity(store, client.signer, plan.deployment)
    if number is None:
        return begun
    source = f"{plan.deployment}@{number}"
    if old is None:
        note = f"{source} has no record to compare with"
        return replace(begun, reuse=Reuse(source=source, note=note))
    new = TreeIdentity.from_bytes(packed.identity)
    if _is_done(client, plan, number, changes(old, new)):
        return replace(begun, reuse=Reuse(source=source, is_all=True), stays=number)
    try:
        earlier = read_earlier(store, client.signer, plan.deployment, number)
        taken = reusable(plan, earlier.trained, old, new)
    except CantTakeOver as error:
        return replace(begun, reuse=Reuse(source=source, note=str(error)))
    return _taking(begun, source, taken)


def _is_done(client: Connected, plan: Plan, number: int, found: TreeChanges) -> bool:
    """Whether the current generation is all that the plan would make."""
    if not found.is_empty:
        return False
    record = client.store.deployments.generation(plan.deployment, number)
    if record is None or record.state is not DeploymentState.READY:
        return False
    tasks = client.store.tasks.of(plan.deployment, number)
    return is_nothing_to_do(
        plan, found, {task.id for task in tasks if task.state is TaskState.SUCCEEDED}
    )


def _trained(client: Connected, packed: Packed, begun: Beginning) -> Beginning:
    """Take all training over from the newest generation that has what fits."""
    plan, new = begun.plan, TreeIdentity.from_bytes(packed.identity)
    refused: PlanError | None = None
    for record in client.store.deployments.generations(plan.deployment):
        if why_unusable(record) is not None:
            continue
        try:
            earlier = read_earlier(client.store, client.signer, record.name, record.generation)
            taken = trained_before(plan, earlier.trained, _identity_of(earlier), new)
        except PlanError as error:
            # What the newest lacks is what there is to be said.
            refused = refused or error
            continue
        return _taking(begun, earlier.trained.id, taken)
    raise refused or PlanError(
        f"{plan.deployment} would be served untrained: none of its generations was ever ready; "
        "deploy with train too (`--kinds train,deploy`)"
    )


def _taking(begun: Beginning, source: str, taken: Carried | None) -> Beginning:
    done = frozenset[str]() if taken is None else taken.tasks
    reuse = Reuse(source=source, tasks=tuple(id_ for id_ in begun.plan.ids if id_ in done))
    return replace(begun, taken=taken, reuse=reuse)


def _identity_of(earlier: Earlier) -> TreeIdentity | None:
    return TreeIdentity.from_bytes(earlier.identity) if earlier.identity else None
