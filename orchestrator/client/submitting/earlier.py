"""An earlier generation, read and checked whole, as a new one can begin with it.

Its tree, plan and states are opened with the secret that they were sealed with; what is missing is
an error that says what, before anything is stored. What is taken over is the caller's to choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rootward.modules.state.entries import origin_of

from ...planning.carried import CARRIED_KINDS, CantTakeOver, Carried, Trained, kind_of, take_over
from ...planning.definition import Packed
from ...planning.graph import Kind
from ...planning.plan import Plan
from ...states import DeploymentState, TaskState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ...planning.graph import PlanGraph
    from ...security.signing import Signer
    from ...store.records import GenerationRecord
    from ...store.store import Store

_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A generation that was ready at some time, with all that it takes to come back."""

    record: GenerationRecord
    plan: Plan
    tree: bytes
    trained: Trained
    identity: bytes = b""

    def pack(self, limit: int) -> Packed:
        """Return its tree as it was submitted; its code is stored already."""
        del limit
        bundle = self.record.bundle
        return Packed(tree=self.tree, stored_bundle=bundle, read_identity=lambda: self.identity)

    def take_over(self, plan: PlanGraph, tasks: Collection[str] | None = None) -> Carried:
        """Return what the tasks (ids; by default all that can) of a plan take over from it.

        Raises CantTakeOver, which names the tasks that must run and says why.
        """
        if tasks is None:
            tasks = [id_ for id_ in plan.ids if kind_of(id_) in CARRIED_KINDS]
        return take_over(plan, self.trained, tasks)

    def whole(self) -> Carried:
        """Return all that it has trained and evaluated, for a generation with the same plan.

        What its deploys have changed is left out: they run again.
        """
        ids = frozenset(self.plan.ids)
        entries = self.trained.entries
        return Carried(
            source=self.record.generation,
            tasks=frozenset(
                each for each in self.trained.succeeded & ids if kind_of(each) in CARRIED_KINDS
            ),
            states=tuple(
                [each for each in entries if kind_of(origin_of(each).writer) != Kind.DEPLOY]
            ),
        )


def read_earlier(store: Store, signer: Signer, name: str, generation: int) -> Earlier:
    """Return a generation as later ones can use it.

    Raises CantTakeOver when it is gone, was never ready, or lacks something; SignatureError for
    what no holder of the secret wrote.
    """
    id_ = f"{name}@{generation}"
    record = store.deployments.generation(name, generation)
    if record is None:
        raise CantTakeOver(_gone(store, name, generation))
    if (why := why_unusable(record)) is not None:
        raise CantTakeOver(f"{id_} {why}")
    opening = store.tasks.opening(name, generation)
    if opening is None:
        raise CantTakeOver(f"{id_} has lost its tree or its plan: deploy anew")
    sealed = _states(store, name, generation)
    identity = store.deployments.identity(name, generation)
    if len(sealed) < record.logged:
        raise CantTakeOver(
            f"{id_} has lost states: of {record.logged} entries {len(sealed)} are left; deploy anew"
        )
    return Earlier(
        record=record,
        plan=Plan.from_bytes(signer.open_plan(opening.plan, name, generation)),
        tree=signer.open_tree(opening.tree, name, generation),
        identity=b"" if identity is None else signer.open_identity(identity, name, generation),
        trained=Trained(
            id=id_,
            generation=generation,
            succeeded=frozenset(
                task.id
                for task in store.tasks.of(name, generation)
                if task.state is TaskState.SUCCEEDED
            ),
            entries=[signer.open_state(entry, name, generation) for entry in sealed],
        ),
    )


def why_unusable(record: GenerationRecord) -> str | None:
    """Return why later generations can't take anything over from it; None when they can."""
    if record.is_restored:
        return "was brought back by its workers after Redis had lost its data: its tree is gone"
    if record.was_ready:
        return None
    if record.state is DeploymentState.FAILED:
        return f"failed: {record.reason or 'no reason is known'}"
    return f"is {record.state} and was never ready"


def _states(store: Store, name: str, generation: int) -> Sequence[bytes]:
    """Return the sealed state log, read in pages: it may be hundreds of megabytes."""
    entries: list[bytes] = []
    while True:
        page = store.tasks.states(name, generation, len(entries), len(entries) + _PAGE - 1)
        entries += page
        if len(page) < _PAGE:
            return entries


def _gone(store: Store, name: str, generation: int) -> str:
    kept = [str(each.generation) for each in store.deployments.generations(name)]
    told = f"kept are {', '.join(kept[:20])}" if kept else "none is kept"
    return f"{name}@{generation} is gone or never was: {told}"
