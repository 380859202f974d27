"""From a plan to what is stored: task by task, signed, with the edges that Redis settles.

The submission is built whole and in memory before the first byte is written, so that an error
leaves no trace. All signatures are made here, because no script can sign. The store writes it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .plan import Kind, Plan, Task
from .queue import job_id, resource_queue
from .records import Submission, TaskSpec
from .transport import Signer, payload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .keys import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller wants done with a plan.

    `timeout` is the deployment's own deadline and `history_s` how long a finished generation that
    serves nothing is kept, both in seconds; `owner` is the program that it ends with, or None.
    """

    makes_current: bool
    kinds: tuple[str, ...]
    retries: int = 0
    timeout: float | None = None
    owner: str | None = None
    history_s: float = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Builds submissions: `keys` gives job ids, `signer` signs."""

    keys: Keys
    signer: Signer

    def build(
        self, plan: Plan, tree: bytes, order: Order, *, submission_id: str, generation: int
    ) -> Submission:
        """Return the submission of the plan as one generation of its deployment."""
        name = plan.deployment
        return Submission(
            id=submission_id,
            name=name,
            generation=generation,
            kinds=order.kinds,
            tasks=self._tasks(plan, generation),
            plan=self.signer.seal_plan(plan.to_bytes(), name, generation),
            tree=self.signer.seal_tree(tree, name, generation),
            services={service.path: service.wanted for service in plan.services},
            makes_current=order.makes_current,
            retries=order.retries,
            deadline_s=order.timeout,
            owner=order.owner,
            history_s=order.history_s,
        )

    def _tasks(self, plan: Plan, generation: int) -> tuple[TaskSpec, ...]:
        index = {task.id: number for number, task in enumerate(plan.tasks)}
        reduced = plan.reduced()
        following: dict[str, list[int]] = defaultdict(list)
        for task in plan.tasks:
            for before in reduced[task.id]:
                following[before].append(index[task.id])
        resources = {service.path: service.resources for service in plan.services}
        return tuple(
            TaskSpec(
                index=index[task.id],
                id=task.id,
                kind=str(task.kind),
                path=task.path,
                wait=len(reduced[task.id]),
                next=tuple(following[task.id]),
                data=self._data(plan.deployment, generation, index[task.id], task),
                queue=self._queue(task, resources),
                description=f"{plan.deployment}@{generation} {task.id}",
            )
            for task in plan.tasks
        )

    def _data(self, name: str, generation: int, index: int, task: Task) -> bytes:
        # A join never reaches a worker: the scripts settle it.
        if task.kind is Kind.JOIN:
            return b""
        job = job_id(self.keys.prefix, name, generation, index)
        return payload(self.signer, name, generation, task.id, job)

    def _queue(self, task: Task, resources: Mapping[str, Mapping[str, float]]) -> str:
        holds = task.kind in {Kind.PREPARE, Kind.DEPLOY}
        return resource_queue(self.keys.prefix, resources.get(task.path or "", {}) if holds else {})
