"""What an agent counts of its own work, told in Prometheus' text format.

It stands around each task that the agent runs, and looks at the slots, the replicas and the lease
when somebody asks. Without a port for metrics nobody lets it watch, and it costs nothing. Times of
waiting are by the clock of Redis, those of running by the agent's own. It belongs to the agent's
loop and needs no lock.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from rootward.orchestrator.gateway.meters import Sample, Times, family, histogram

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

    from ..replicas.supervisor import Supervisor
    from ..slots.pool import Slots
    from ..work.assignment import Assignment, Outcome
    from ..work.task_runner import Run
    from .heartbeat import Keeper
    from .store_client import Link

logger = logging.getLogger(__name__)

BOUNDS_S: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)
_MEANINGS: Final = {
    "queue_wait": "From the release of a task until it was claimed.",
    "barrier_wait": "From the submission of a task until its release.",
    "task": "From the claim of a task until its outcome.",
}
_KNOWN: Final = 1000


class Account:
    """The counters of one agent; `keeper` is there once it has joined."""

    def __init__(self, slots: Slots, supervisor: Supervisor, store: Store, link: Link) -> None:
        """Count nothing yet."""
        self.keeper: Keeper | None = None
        self.leases_lost = 0
        self._slots, self._supervisor = slots, supervisor
        self._store, self._link = store, link
        self._tasks: Counter[tuple[str, str]] = Counter()
        self._times: dict[str, dict[str, Times]] = {name: {} for name in _MEANINGS}
        # When generations were submitted: all of their tasks wait from then on.
        self._submitted: dict[tuple[str, int], asyncio.Future[float | None]] = {}

    async def watch(self, run: Run, assignment: Assignment) -> Outcome | None:
        """Run a task, and count it."""
        claim, loop = assignment.claim, asyncio.get_running_loop()
        if claim.attempt == 1 and claim.queued_at is not None and claim.claimed_at is not None:
            self._observe("queue_wait", claim.kind, claim.claimed_at - claim.queued_at)
            self._note_barrier(assignment.place, claim.kind, claim.queued_at)
        began = loop.time()
        outcome: Outcome | None = None
        try:
            outcome = await run(assignment)
        finally:
            if outcome is not None:
                state = str(outcome.state)
                self._observe("task", claim.kind, loop.time() - began)
            else:
                state = "lost" if assignment.lost else "handed back"
            self._tasks[claim.kind, state] += 1
        return outcome

    def text(self) -> str:
        """Return everything as Prometheus reads it."""
        lines: list[str] = []
        for name, meaning in _MEANINGS.items():
            rows = [({"kind": kind}, times) for kind, times in self._times[name].items()]
            lines += histogram(f"worker_{name}_seconds", meaning, rows)
        ended = [
            Sample({"kind": kind, "state": state}, count)
            for (kind, state), count in self._tasks.items()
        ]
        lines += family("worker_tasks_total", "counter", "Tasks that have ended here.", ended)
        lines += self._of_lease()
        lines += self._of_slots()
        lines += self._of_replicas()
        return "\n".join(lines) + "\n"

    def _of_lease(self) -> list[str]:
        left_s = 0.0 if self.keeper is None else self.keeper.lease_left_s
        return [
            *_one("worker_lease_seconds", "gauge", "What is left of the lease.", left_s),
            *_one("worker_leases_lost_total", "counter", "Leases that ended.", self.leases_lost),
        ]

    def _of_slots(self) -> list[str]:
        slots = self._slots
        return [
            *_one("worker_slots", "gauge", "Tasks that run at once at most.", slots.limit),
            *_one("worker_slots_busy", "gauge", "Slots that run a task.", slots.busy),
        ]

    def _of_replicas(self) -> list[str]:
        there = Counter(
            (*held.generation.place, held.service.path, str(held.state))
            for held in self._supervisor.held
        )
        told = [
            Sample(
                {
                    "deployment": name,
                    "generation": str(number),
                    "service": service,
                    "state": state,
                },
                count,
            )
            for (name, number, service, state), count in there.items()
        ]
        restarts = [
            Sample({"service": service}, count)
            for service, count in self._supervisor.restarts.items()
        ]
        return [
            *family("worker_replicas", "gauge", "Replicas by state.", told),
            *family(
                "worker_replica_restarts_total",
                "counter",
                "Replicas that were started again where they had ended.",
                restarts,
            ),
        ]

    def _observe(self, what: str, kind: str, seconds: float) -> None:
        of_kind = self._times[what]
        if kind not in of_kind:
            of_kind[kind] = Times(BOUNDS_S)
        of_kind[kind].observe(max(0.0, seconds))

    def _note_barrier(self, place: tuple[str, int], kind: str, released_at: float) -> None:
        known = self._submitted.get(place)
        if known is None:
            if len(self._submitted) >= _KNOWN:
                del self._submitted[next(iter(self._submitted))]
            known = self._submitted[place] = asyncio.ensure_future(self._read(place))

        def note(done: asyncio.Future[float | None]) -> None:
            submitted_at = None if done.cancelled() else done.result()
            if submitted_at is not None:
                self._observe("barrier_wait", kind, released_at - submitted_at)

        known.add_done_callback(note)

    async def _read(self, place: tuple[str, int]) -> float | None:
        try:
            record = await self._link.once(self._store.deployments.generation, *place)
        except Exception as error:
            logger.debug("not counted: %s", error, extra={"event": "account.unread"})
            return None
        return None if record is None else record.created_at


def _one(name: str, kind: str, meaning: str, value: float) -> list[str]:
    return family(name, kind, meaning, [Sample({}, value)])
