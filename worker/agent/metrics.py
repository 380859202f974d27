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

from rootward.orchestrator.metrics import Times, catalogue
from rootward.orchestrator.metrics.exposition import Exposition, Families
from rootward.orchestrator.metrics.times import TASK_BOUNDS_S

if TYPE_CHECKING:
    from rootward.orchestrator.metrics import Metric
    from rootward.orchestrator.store.store import Store

    from ..replicas.supervisor import Supervisor
    from ..slots.pool import SlotPool
    from ..work.assignment import Assignment, Outcome
    from ..work.task_runner import Run
    from .heartbeat import Heartbeat
    from .store_client import StoreClient

logger = logging.getLogger(__name__)

_TIMES: Final = (catalogue.WORKER_QUEUE, catalogue.WORKER_BARRIER, catalogue.WORKER_TASK)
_KNOWN: Final = 1000


class AgentMetrics:
    """The counters of one agent; `keeper` is there once it has joined."""

    def __init__(
        self, slots: SlotPool, supervisor: Supervisor, store: Store, link: StoreClient
    ) -> None:
        """Count nothing yet."""
        self.keeper: Heartbeat | None = None
        self.leases_lost = 0
        self._slots, self._supervisor = slots, supervisor
        self._store, self._link = store, link
        self._tasks: Counter[tuple[str, str]] = Counter()
        self._times: dict[tuple[Metric, str], Times] = {}
        self._page = Exposition()
        # When generations were submitted: all of their tasks wait from then on.
        self._submitted: dict[tuple[str, int], asyncio.Future[float | None]] = {}

    async def watch(self, run: Run, assignment: Assignment) -> Outcome | None:
        """Run a task, and count it."""
        claim, loop = assignment.claim, asyncio.get_running_loop()
        if claim.attempt == 1 and claim.queued_at is not None and claim.claimed_at is not None:
            self._observe(catalogue.WORKER_QUEUE, claim.kind, claim.claimed_at - claim.queued_at)
            self._note_barrier(assignment.place, claim.kind, claim.queued_at)
        began = loop.time()
        outcome: Outcome | None = None
        try:
            outcome = await run(assignment)
        finally:
            if outcome is not None:
                state = str(outcome.state)
                self._observe(catalogue.WORKER_TASK, claim.kind, loop.time() - began)
            else:
                state = "lost" if assignment.lost else "handed back"
            self._tasks[claim.kind, state] += 1
        return outcome

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        families = Families()
        for metric in (*_TIMES, catalogue.WORKER_TASKS):
            families.know(metric)
        for (metric, kind), times in self._times.items():
            families.add_times(metric, times, kind)
        for (kind, state), count in self._tasks.items():
            families.add(catalogue.WORKER_TASKS, count, kind, state)
        left_s = 0.0 if self.keeper is None else self.keeper.lease_left_s
        families.add(catalogue.WORKER_LEASE, left_s)
        families.add(catalogue.WORKER_LEASES_LOST, self.leases_lost)
        families.add(catalogue.WORKER_SLOTS, self._slots.limit)
        families.add(catalogue.WORKER_BUSY, self._slots.busy)
        self._collect_replicas(families)
        return self._page.text(families)

    def _collect_replicas(self, families: Families) -> None:
        families.know(catalogue.WORKER_REPLICAS)
        there = Counter(
            (*held.generation.place, held.service.path, str(held.state))
            for held in self._supervisor.held
        )
        for labels, count in there.items():
            families.add(catalogue.WORKER_REPLICAS, count, *labels)
        families.know(catalogue.WORKER_RESTARTS)
        for service, count in self._supervisor.restarts.items():
            families.add(catalogue.WORKER_RESTARTS, count, service)

    def _observe(self, metric: Metric, kind: str, seconds: float) -> None:
        self._times.setdefault((metric, kind), Times(TASK_BOUNDS_S)).observe(max(0.0, seconds))

    def _note_barrier(self, place: tuple[str, int], kind: str, released_at: float) -> None:
        known = self._submitted.get(place)
        if known is None:
            if len(self._submitted) >= _KNOWN:
                del self._submitted[next(iter(self._submitted))]
            known = self._submitted[place] = asyncio.ensure_future(self._read(place))

        def note(done: asyncio.Future[float | None]) -> None:
            submitted_at = None if done.cancelled() else done.result()
            if submitted_at is not None:
                self._observe(catalogue.WORKER_BARRIER, kind, released_at - submitted_at)

        known.add_done_callback(note)

    async def _read(self, place: tuple[str, int]) -> float | None:
        try:
            record = await self._link.once(self._store.deployments.generation, *place)
        except Exception as error:
            logger.debug("not counted: %s", error, extra={"event": "account.unread"})
            return None
        return None if record is None else record.created_at
