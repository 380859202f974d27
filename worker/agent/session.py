"""One agent at work: from joining a store to leaving it, on one event loop.

It connects the parts: claims to the runner, outcomes to the pump, commands to the supervisor,
changes of the registry to the processes that call. It owns the order of arriving, draining and
leaving, and what follows a lost lease or lost data of the store. User code runs in none of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rootward.orchestrator.store.watch import RegistryMirror

from ..devices.report import HoldingsReport
from ..devices.resources import Resources
from ..replicas.registrar import Registrar
from ..replicas.supervisor import Supervisor
from ..slots.pool import SlotPool
from ..work.assignment import Assignment, Error, Outcome, Workload
from ..work.evaluations import Evaluations
from ..work.generations import Generations, place_in
from ..work.task_runner import Runner
from .chores import Chores, on_loop
from .controller_loop import ControllerLoop
from .demand import Demand
from .exchange_loop import ExchangeLoop, Want
from .heartbeat import LeaseState
from .housekeeping import TICK_S, Housekeeping
from .inbox import BLOCK_MS, Inbox
from .membership import Membership
from .metrics import AgentMetrics
from .queue_selection import QueueSelection
from .rq_worker import RqWorker
from .store_client import StoreClient

if TYPE_CHECKING:
    from rootward.orchestrator.security.signing import Signer
    from rootward.orchestrator.settings import Settings
    from rootward.orchestrator.store.records import Claim
    from rootward.orchestrator.store.store import Store

    from ..work.identity import Identity

logger = logging.getLogger(__name__)

_STARTS = 16
_GOODBYE_S, _LAST_WORD_S = 2.0, 1.0
_EMPTIED = {"type": "DataLost", "message": "Redis has lost its data, and this task with them"}


class AgentSession:
    """What runs while an agent is joined; made and used on its loop only."""

    def __init__(
        self, identity: Identity, settings: Settings, store: Store, signer: Signer, *, burst: bool
    ) -> None:
        """Put the parts together; nothing is started or registered yet."""
        self._loop = loop = asyncio.get_running_loop()
        self._identity, self._settings = identity, settings
        self._store, self._signer, self._burst = store, signer, burst
        self.stop_asked, self.joined = asyncio.Event(), asyncio.Event()
        self._work, self._chores = Workload(), Chores()
        self._is_open, self.is_leaving, self._is_rejoining = True, False, False
        self._link = StoreClient(loop)
        self._membership = Membership(
            identity, settings, store, signer, self._link, on_loop(loop, self._stand)
        )
        self._mirror = RegistryMirror(store, signer, block_ms=BLOCK_MS)
        self._resources = Resources(settings.prefix, identity.pools)
        HoldingsReport(self._resources, self._membership, self._chores.begin, self)
        self._sources = QueueSelection(identity, store, self._link, self._resources)
        store_access = store, signer, self._link
        self._generations = Generations(*store_access, self._mirror, settings.cache, identity.name)
        self._slots = SlotPool(identity.slots, settings.state_limit)
        self._registrar = Registrar(*store_access, agent_id=self.agent_id, worker=identity.name)
        self._registrar.on_forgotten = self.forgotten
        self._supervisor = Supervisor(self._registrar, signer, self._resources, host=settings.host)
        self._pump = ExchangeLoop(store, self._link, self.agent_id, self)
        self._runner = Runner(self._generations, self._slots, self._supervisor, self._pump.kick)
        self._evaluations = Evaluations(*store_access, self._slots, self._chores, self._pump.kick)
        self.account = AgentMetrics(self._slots, self._supervisor, store, self._link)
        self.watches = self._runner.watches
        self._bell = Inbox(store, self.agent_id, on_loop(loop, self._rung))
        self._rounds = ControllerLoop(store, signer, self.agent_id, settings.lease_seconds)
        self._engine = RqWorker(
            store.clients.blocking,
            name=identity.name,
            queues=identity.plain,
            lease_s=settings.lease_seconds,
            on_stop_job=on_loop(loop, self._stop_job),
            on_shutdown=on_loop(loop, self.stop_asked.set),
        )
        self._pulse = Housekeeping(self._engine, self._link, self._work, self)
        self._supervisor.watch.left_s = self._membership.left_s
        self._supervisor.on_news = self._pulse.rouse

    async def work(self, drain_s: Callable[[], tuple[float, float]]) -> None:
        """Arrive, work until `stop_asked`, drain, leave.

        `drain_s()` are the seconds that tasks may take to end, and calls of replicas.
        """
        try:
            await self._arrive()
            await self.stop_asked.wait()
            await self._drain(*drain_s())
        finally:
            await self._leave()

    def quiet(self) -> None:
        """Take no more tasks; what runs goes on, replicas stay."""
        if self._is_open:
            self._is_open = False
            self._chores.begin(self._membership.tell("quiet"))

    @property
    def agent_id(self) -> str:
        """The id of this incarnation."""
        return self._membership.agent_id

    # What the pump and the pulse ask and tell.

    def wants(self) -> Sequence[Want]:
        """Say what may be claimed now: never more than can start, or soon."""
        if not self._is_open or self._pulse.is_suspended:
            return ()
        in_slots = sum(each.needs_slot for each in self._work)
        starting = len(self._work) - in_slots
        room = min(self._slots.limit + self._slots.ahead - in_slots, _STARTS - starting)
        return self._sources.wants(self.agent_id, room, is_adoptable=self._supervisor.is_adoptable)

    def offsets(self) -> Mapping[str, int]:
        """Say how much of each state log is here."""
        return self._generations.offsets()

    def take(self, claim: Claim) -> None:
        """Begin a claimed task."""
        assignment = Assignment(claim=claim, needs_slot=claim.kind != "prepare")
        self._work.add(assignment)
        self._rouse()
        if assignment.hold(self._resources):
            self._runner.begin(assignment, lambda outcome: self._ended(assignment, outcome))
        else:
            self._chores.begin(self._hand_back(assignment))

    def fenced(self, agent_id: str) -> None:
        """Take that the lease of that incarnation had ended."""
        self._stand(LeaseState.FENCED, agent_id)

    def forgotten(self, agent_id: str) -> None:
        """Take that the store has lost its data, and that incarnation with them."""
        self._stand(LeaseState.EMPTIED, agent_id)

    def suspended(self) -> None:
        """Take that nothing may be claimed until RQ's workers are resumed."""
        self._pulse.suspend()

    @property
    def is_awake(self) -> bool:
        """Whether a task is here, a replica comes or goes, or a burst is to end."""
        return self._burst or bool(self._work) or not self._supervisor.is_settled

    def pids(self) -> list[int]:
        """Return the slots and templates: what may rightly be silent for hours."""
        return [*self._slots.pids, *self._generations.pids]

    async def flush(self) -> None:
        """Store what was printed; see whether a burst is over."""
        for assignment in list(self._work):
            await self._runner.flush(assignment)
        await self._supervisor.report()
        if self._burst and await self._has_nothing_left():
            self.stop_asked.set()

    async def look(self, *, is_due: bool = False) -> None:
        """Look for tasks to claim, and let go of what nobody uses."""
        self._generations.drop_idle(time.monotonic())
        if await self._sources.look() or is_due:
            self._pump.kick()
        self._supervisor.make_room(self._sources.blocked() if self._is_open else ())

    # The work itself.

    def _ended(self, assignment: Assignment, outcome: Outcome | None) -> None:
        if self.is_leaving:
            # Leaving hands back what was running, and counts it as no loss.
            self._forget(assignment)
        elif outcome is None:
            self._chores.begin(self._hand_back(assignment))
        else:
            assignment.when_flushed(partial(self._finish, assignment, outcome))

    def _finish(self, assignment: Assignment, outcome: Outcome) -> None:
        self._forget(assignment)
        self._pump.finish(assignment.finish(outcome, self._signer))

    async def _hand_back(self, assignment: Assignment) -> None:
        try:
            await self._runner.hand_back(assignment)
        finally:
            self._forget(assignment)
            self._pump.kick()

    def _forget(self, assignment: Assignment) -> None:
        self._evaluations.forget(assignment)
        self._work.remove(assignment)
        assignment.end_holding()

    def _stop_job(self, job_id: str) -> None:
        self._end_job(job_id, {"type": "Stopped", "message": "stopped by hand (RQ's stop-job)"})

    def _end_job(self, job_id: str, error: Error) -> None:
        for assignment in list(self._work):
            if assignment.claim.job_id == job_id:
                self._runner.end(assignment, error)

    def _obey(self, command: Mapping[str, Any]) -> None:
        match command.get("op"):
            case "stop_replica":
                grace = command.get("grace", 0.0)
                grace_s = self._settings.drain_seconds if grace is None else float(grace)
                self._chores.begin(self._supervisor.stop(str(command["replica"]), grace_s))
            case "cancel_job":
                reason = str(command.get("reason") or "cancelled")
                self._end_job(str(command["job"]), {"type": "Cancelled", "message": reason})
            case "shard":
                self._evaluations.told(str(command["job"]), str(command["shard"]))
            case "states":
                self._chores.begin(self._supervisor.follow_states(place_in(command)))
            case "drop_generation":
                self._generations.drop(place_in(command))
            case other:
                logger.warning("no such command: %r", other, extra={"event": "command.refused"})

    # What the threads tell.

    def _rouse(self) -> None:
        """Have everyone look who rests while nothing is active."""
        self._pulse.rouse()
        self._rounds.rouse()
        self._membership.rouse()

    def _rung(self, released: bool, commands: Sequence[Mapping[str, Any]]) -> None:
        self._rouse()
        for command in commands:
            self._obey(command)
        if released:
            self._pump.kick()
            if self._identity.resources:
                self._chores.begin(self.look())

    def _stand(self, standing: LeaseState, agent_id: str) -> None:
        match standing:
            case LeaseState.UNHEARD:
                logger.warning("the lease can't be renewed", extra={"event": "lease.unheard"})
                self._supervisor.end_exclusive()
            case LeaseState.EMPTIED:
                self._chores.begin(self._rejoin(agent_id))
            case LeaseState.FENCED:
                self._chores.begin(self._start_anew(agent_id))
            case LeaseState.HELD:
                logger.info("the lease holds again", extra={"event": "lease.held"})

    async def _rejoin(self, forgotten_id: str) -> None:
        """Register again what is served here: the store has lost it. Tasks are lost with it."""
        if self._is_rejoining or self.agent_id != forgotten_id:
            return
        self._is_rejoining = True
        logger.warning(
            "Redis has lost its data: what is served here is registered again; of the tasks that "
            "run here (%d), nobody knows any more, so they are ended",
            len(self._work),
            extra={"event": "store.emptied"},
        )
        self._pump.pause()
        self._registrar.close()
        for assignment in list(self._work):
            self._runner.end(assignment, _EMPTIED)
        try:
            if await self._come_back():
                self._registrar.reopen()
                self._pump.resume()
        finally:
            self._is_rejoining = False

    async def _come_back(self) -> bool:
        """Be registered as before, with all that is served; False when this id is gone for good."""
        joined = await self._membership.rejoin(self._engine)
        if not joined.known:
            self._stand(LeaseState.FENCED, self.agent_id)
            return False
        self._rounds.rename(self.agent_id)
        restored = await self._supervisor.restore_all()
        self._generations.keep_only(restored)
        held = {each.id for each in self._supervisor.held}
        await self._registrar.drop_unknown(joined.replicas, held)
        return True

    async def _start_anew(self, lost_id: str) -> None:
        """Give up all that was held under a lease that has ended; join as another incarnation."""
        if self.agent_id != lost_id:
            return
        logger.warning("the lease had ended: starting anew", extra={"event": "agent.fenced"})
        new_id = self._membership.take_another_id()
        self.account.leases_lost += 1
        # Nothing may be claimed for a lease that isn't there yet.
        self._pump.pause()
        self._supervisor.void_all()
        self._registrar.reopen()
        self._slots.give_back()
        self._slots.kill_all()
        self._pump.agent_id = self._registrar.agent_id = new_id
        self._bell.rename(new_id)
        self._rounds.rename(new_id)
        await self._membership.join(self._engine)
        self._pump.resume()

    # Arriving, ticking, leaving.

    async def _arrive(self) -> None:
        self._generations.warm()
        self._mirror.on_change(on_loop(self._loop, self._routes_changed))
        await self._membership.join(self._engine)
        self.account.keeper = self._membership.keeper
        self._bell.start()
        self._rounds.start()
        self._chores.begin(self._pulse.run())
        self._chores.begin(Demand(self._supervisor, self._generations).run(self.agent_id))
        self.joined.set()
        logger.info(
            "worker %s takes tasks in %d slots",
            self._identity.name,
            self._identity.slots,
            extra={"event": "agent.joined"},
        )

    async def _has_nothing_left(self) -> bool:
        if self._work or not (self._pump.is_dry and self._pump.is_quiet):
            return False
        # What has failed and waits for its next try is left to do, too.
        return not await self._sources.retries()

    async def _drain(self, tasks_s: float, calls_s: float) -> None:
        """Take no more, let tasks end and others take over, then let replicas end their calls."""
        self._is_open = False
        self._slots.give_back()
        self._slots.announce_stop()
        logger.info("waiting for %d tasks", len(self._work), extra={"event": "agent.draining"})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(tasks_s):
                await self._membership.tell("draining")
                await self._hand_over()
                await self._work.until_done()
        self.is_leaving = self._runner.is_leaving = True
        self._registrar.leave()
        self._slots.kill_all()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._supervisor.stop_all(calls_s), calls_s + 0.1)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._pump.until_quiet(), _LAST_WORD_S)

    async def _hand_over(self) -> None:
        """Serve on until others do: the controller lets each replica go that has been replaced."""
        while self._supervisor.is_serving:
            agents = await self._link.insist(self._store.agents.all)
            if not any(agent.info.state == "running" for agent in agents):
                return
            await asyncio.sleep(TICK_S)

    async def _leave(self) -> None:
        """End all processes and give up the lease; what Redis can't be told now, it finds out."""
        self.is_leaving = self._runner.is_leaving = True
        self._membership.end()
        self._bell.stop()
        self._rounds.stop()
        await self._generations.close(_GOODBYE_S)
        try:
            async with asyncio.timeout(_GOODBYE_S):
                if self.joined.is_set():
                    await self._link.once(self._store.agents.leave, self.agent_id)
                    await self._link.once(self._engine.retire)
        except Exception as error:
            logger.warning("left without a word: %s", error, extra={"event": "agent.left"})
        await self._runner.close()
        await self._chores.close()
        self._link.close()
        closing = threading.Thread(target=self._mirror.close, daemon=True)
        closing.start()
        # Wakes the threads that wait in a read, so that none of them is waited for.
        self._store.clients.close()
        closing.join(_GOODBYE_S)

    def _routes_changed(self, name: str, generation: int | None) -> None:
        self._chores.begin(self._generations.refresh((name, generation)))
