"""From a plan to what is stored: task by task, signed, with the edges that Redis settles.

The submission is built whole and in memory before the first byte is written, so that an error
leaves no trace. All signatures are made here, because no script can sign. The store writes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from rootward.modules.processes.gc_pause import GcPaused

from ..errors import PlanError
from ..security.sealing import mark_of
from ..security.signing import Signer, payloads
from ..store.records import Retention, Rollout, Submission, TaskSpec
from ..store.rq_compat import job_prefix, plain_queue, resource_queue
from .carried import barriers
from .graph import Kind
from .reduction import reduce_edges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..store.keys import Keys
    from .carried import Carried
    from .definition import Packed
    from .plan import Plan


MOST_KEPT: Final = 1000
"""Generations that a deployment can be asked to keep however old they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller wants done with a plan.

    `timeout` is the deployment's own deadline and `history_s` how long a finished generation that
    serves nothing is kept, both in seconds; `owner` is the program that it ends with, or None.
    `how` is what the generation comes about by, `rollout` how it takes over, `taken` what it has
    from an earlier one, `retention` what is kept of those that it replaces. `expects` is
    the number of the generation that must be current, empty for none; None for any.
    """

    makes_current: bool
    kinds: tuple[str, ...]
    retries: int = 0
    timeout: float | None = None
    owner: str | None = None
    history_s: float = 7 * 86400.0
    how: str = "deploy"
    rollout: Rollout = field(default_factory=Rollout)
    taken: Carried | None = None
    retention: Retention = field(default_factory=Retention)
    expects: str | None = None


def retention_of(keep: int | None, warm: int) -> Retention:
    """Return what a submission asks to be kept; PlanError for a number that makes no sense."""
    if keep is not None and not 0 <= keep <= MOST_KEPT:
        raise PlanError(f"{keep} generations can't be kept: give 0 to {MOST_KEPT}")
    return Retention(keep=keep, warm=warm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Builds submissions: `keys` gives job ids, `signer` signs, `trace` is what jobs belong to.

    `by` says who submits them, as user@host.
    """

    keys: Keys
    signer: Signer
    trace: Mapping[str, str] = field(default_factory=dict)
    by: str = ""

    def build(
        self, plan: Plan, packed: Packed, order: Order, *, submission_id: str, generation: int
    ) -> Submission:
        """Return the submission of the plan as one generation of its deployment."""
        mark, name, taken = mark_of(submission_id), plan.deployment, order.taken
        with GcPaused():
            tasks = self._tasks(plan, generation, mark, taken)
        return Submission(
            id=submission_id,
            name=name,
            generation=generation,
            kinds=order.kinds,
            tasks=tasks,
            plan=self.signer.seal_plan(plan.to_bytes(), name, generation, mark),
            tree=self.signer.seal_tree(packed.tree, name, generation, mark),
            states=self._states(taken, name, generation, mark),
            source=None if taken is None else taken.source,
            bundle=packed.bundle_digest,
            services={service.path: service.wanted for service in plan.services},
            makes_current=order.makes_current,
            retries=order.retries,
            deadline_s=order.timeout,
            owner=order.owner,
            history_s=order.history_s,
            by=self.by,
            how=order.how,
            rollout=order.rollout,
            retention=replace(
                order.retention, is_scarce=any(each.is_scarce for each in plan.services)
            ),
            expects=order.expects,
        )

    def _states(
        self, taken: Carried | None, name: str, generation: int, mark: bytes
    ) -> tuple[bytes, ...]:
        # Sealed anew, because an entry is good for its own generation only; the bytes are the same.
        entries = () if taken is None else taken.states
        return tuple([self.signer.seal_state(each, name, generation, mark) for each in entries])

    def _tasks(
        self, plan: Plan, generation: int, mark: bytes, taken: Carried | None
    ) -> tuple[TaskSpec, ...]:
        edges = [after for _, _, after in plan.steps]
        done = frozenset[str]() if taken is None else taken.tasks
        if done:
            edges = barriers(edges, [id_ in done for id_ in plan.ids])
        waits = reduce_edges(edges)
        following: list[list[int]] = [[] for _ in waits]
        for number, before in enumerate(waits):
            if plan.ids[number] not in done:
                for each in before:
                    following[each].append(number)
        queue_of = self._queues(plan)
        plain = plain_queue(self.keys.prefix)
        jobs = job_prefix(self.keys.prefix, plan.deployment, generation)
        payload = payloads(self.signer, plan.deployment, generation, mark, self.trace)
        return tuple(
            [
                TaskSpec(
                    id=id_,
                    wait=len(waits[number]),
                    next=following[number],
                    # A join never reaches a worker: the scripts settle it.
                    data=b"" if kind == Kind.JOIN else payload(id_, f"{jobs}{number}"),
                    queue=queue_of.get(id_, plain),
                    is_done=id_ in done,
                )
                for number, (id_, (kind, _, _)) in enumerate(zip(plan.ids, plan.steps, strict=True))
            ]
        )

    def _queues(self, plan: Plan) -> dict[str, str]:
        """Return, by task id, the queues of those that only some workers can run."""
        return {
            id_: resource_queue(self.keys.prefix, needs)
            for id_, needs in plan.needs_of_tasks().items()
        }
