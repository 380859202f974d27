"""The supervisor: starts replicas, publishes them, restarts what dies, and takes them away again.

Each replica has one coroutine that tells its whole life. A first start that fails ends it, and
fails whoever asked. A published one that dies is withdrawn within milliseconds and restarted in
place, with growing pauses; after some failures in a row it is given up, so that another worker
can try. Whether one still answers is the watch's to find out. Nothing here decides how many there
should be.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from rootward.modules.processes.restart_policy import RestartPolicy
from rootward.orchestrator.states import ReplicaState, TaskState
from rootward.orchestrator.store.records import ERROR_FD

from ..devices.process_end import until_gone
from ..work.assignment import Assignment, Outcome
from .binding import bound_for
from .equipment import equip, in_the_way, spec_of
from .liveness import Watch
from .probe import probe
from .replica_handle import ReplicaHandle

if TYPE_CHECKING:
    import socket

    from rootward.modules.processes.forkserver import Template
    from rootward.orchestrator.security.signing import Signer

    from ..devices.resources import Resources
    from ..work.generation import Generation, Place
    from .registrar import Registrar

logger = logging.getLogger(__name__)

_DRAIN_MARGIN_S = 2.0
_TELL_CALLS_S = 0.5
_PROBE_PAUSE_S = 0.05
# A false record is put right before calls that are held for a replica give up.
_MEND_S = 3.0


class Supervisor:
    """All replicas of one agent."""

    def __init__(
        self, registrar: Registrar, signer: Signer, resources: Resources, *, host: str
    ) -> None:
        """Start nothing; replicas listen on `host`."""
        self._registrar = registrar
        self._signer = signer
        self._resources = resources
        self._host = host
        self.watch = Watch(registrar)
        # Called when a replica has printed, or comes or goes.
        self.on_news: Callable[[], None] = lambda: None
        self.restarts: Counter[str] = Counter()
        self._held: dict[str, ReplicaHandle] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._mended_at = time.monotonic()

    @property
    def is_adoptable(self) -> bool:
        """Whether a prepared replica waits for its deploy, which comes by the agent's own queue."""
        return any(not (held.is_published or held.is_over) for held in self.held)

    @property
    def is_serving(self) -> bool:
        """Whether a replica serves that another worker can take over before it ends."""
        # Two can't share a fixed port: the next one waits for this one's end.
        return any(
            held.state is ReplicaState.READY and held.service.port is None for held in self.held
        )

    @property
    def is_settled(self) -> bool:
        """Whether no replica comes or goes."""
        return all(held.state is ReplicaState.READY for held in self.held)

    @property
    def held(self) -> tuple[ReplicaHandle, ...]:
        """All replicas, in whatever state."""
        return tuple(self._held.values())

    async def prepare(self, assignment: Assignment, generation: Generation) -> Outcome:
        """Start a replica that a later deploy adopts; done when it has loaded."""
        held = await self._hold(assignment, generation)
        with self._bringing_up(held, assignment):
            await asyncio.shield(held.loaded)
        return Outcome(state=TaskState.SUCCEEDED)

    async def deploy(self, assignment: Assignment, generation: Generation) -> Outcome:
        """Publish the prepared replica, else a new one; done when it answers and is registered.

        Raises ServeFailed, UserFailure or LoadFailed when it can't be.
        """
        held = await self._hold(assignment, generation)
        held.is_published = True
        with self._bringing_up(held, assignment):
            try:
                await asyncio.shield(held.loaded)
                await self._publish(held)
            except BaseException as error:
                # Nobody else would ever end it: it belongs to this task alone.
                held.is_published = False
                self._end(held, str(error) or "its deploy was ended")
                raise
        return Outcome(state=TaskState.SUCCEEDED)

    def cancel(self, assignment: Assignment, reason: str) -> bool:
        """End the replica that this task is bringing up; False when there is none."""
        found = [held for held in self.held if held.task is assignment]
        for held in found:
            self._end(held, reason)
        return bool(found)

    def make_room(self, blocked: Iterable[Mapping[str, float]]) -> None:
        """End prepared replicas whose resources other tasks wait for: that costs their start only.

        Otherwise a task might wait for them for ever, and their deploy for that task.
        """
        for held in in_the_way(self.held, blocked, self._resources):
            self._end(held, "it gives way: a task waits for what it holds")

    async def follow_states(self, place: Place) -> None:
        """Write what was added to a generation's state log into its replicas here."""
        following = [held for held in self.held if held.generation.place == place]
        for generation in {held.generation for held in following}:
            await generation.catch_up()
        for held in following:
            held.send_states()

    async def stop(self, replica_id: str, grace_s: float) -> None:
        """Withdraw a replica, let it finish its calls for at most `grace_s`, and end it."""
        held = self._held.get(replica_id)
        if held is None:
            return
        is_first = not held.is_stopping
        held.stop_asked.set()
        held.limit_drain(grace_s)
        if held.loaded.done() and held.child is not None and not held.ended.done():
            if is_first:
                # Withdrawn before it refuses.
                await self._registrar.put(held, ReplicaState.DRAINING)
                held.drain()
                await self._drained(held)
            else:
                held.drain()
        if is_first:
            held.kill()
        await self._lived(held)

    async def _drained(self, held: ReplicaHandle) -> None:
        """Return when it has ended its calls, or its time is over; tell what it waits for."""
        loop, told = asyncio.get_running_loop(), 0
        while not held.ended.done():
            held.calls_changed.clear()
            if held.calls != told:
                told = held.calls
                why = f"ends the {told} calls that it has begun" if told else ""
                await self._registrar.put(held, ReplicaState.DRAINING, why)
            left_s = held.drain_until + _DRAIN_MARGIN_S - loop.time()
            if left_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await held.calls_changed.wait()
            # Calls may end by the hundred, and nobody reads as fast.
            await asyncio.wait({held.ended}, timeout=_TELL_CALLS_S)

    async def stop_all(self, grace_s: float) -> None:
        """Stop every replica at the same time."""
        await asyncio.gather(*(self.stop(replica_id, grace_s) for replica_id in list(self._held)))

    def void_all(self) -> None:
        """End everything at once and speak of it no more: the lease it stood under is gone."""
        for held in self.held:
            held.is_void = True
            self._end(held, "its worker's lease had ended")

    def end_exclusive(self) -> None:
        """End what must not run beside a successor, as the lease can't be renewed."""
        for held in self.held:
            if held.service.exclusive:
                self._end(held, "its lease could not be renewed in time")

    async def restore_all(self) -> set[Generation]:
        """Register what was served again, and end the rest; return the generations of the first."""
        restored = set()
        for held in self.held:
            if held.is_stopping or held.is_over:
                continue
            was_served = held.is_published and held.task is None and held.generation.was_served
            if not (was_served and await self._registrar.restore(held)):
                self._end(held, "Redis has lost its data, and nobody asks for it any more")
                continue
            restored.add(held.generation)
        return restored

    async def report(self) -> None:
        """Store what replicas have printed, and have every record as it was registered."""
        for held in self.held:
            if held.output.is_waiting:
                await self._registrar.print(held)
        now = time.monotonic()
        if self.held and now >= self._mended_at + _MEND_S:
            self._mended_at = now
            await self._registrar.mend(self.held)

    @contextlib.contextmanager
    def _bringing_up(self, held: ReplicaHandle, assignment: Assignment) -> Iterator[None]:
        # A deploy that comes while the prepare still waits takes the output over.
        held.task = assignment
        try:
            yield
        finally:
            if held.task is assignment:
                held.task = None

    async def _hold(self, assignment: Assignment, generation: Generation) -> ReplicaHandle:
        """Return the replica that was prepared for it, else a new one that is being started."""
        service = await generation.service(assignment.claim.path or "")
        for held in self.held:
            if held.awaits(generation, service.path):
                return held
        held = ReplicaHandle(generation, service)
        equip(held, assignment, self._resources)
        held.task = assignment
        held.on_print = self.on_news
        self._held[held.id] = held
        generation.uses += 1
        self._lives[held.id] = asyncio.create_task(self._live(held), name=f"life of {held.id}")
        return held

    async def _live(self, held: ReplicaHandle) -> None:
        """Tell the life of a replica from its registration to its end."""
        try:
            if not await self._registrar.put(held, ReplicaState.STARTING):
                raise held.failure("its generation has ended")
            reason = await self._run(held)
        except Exception as error:
            reason = held.verdict or str(error)
            if not held.loaded.done():
                held.loaded.set_exception(error)
        held.is_over = True
        held.kill()
        if held.child is not None:
            await asyncio.wait({held.ended}, timeout=_DRAIN_MARGIN_S)
        if held.holding is not None:
            held.holding.end(held.pid)
        held.generation.uses -= 1
        held.generation.used_at = time.monotonic()
        try:
            await self._registrar.drop(held, reason)
        finally:
            del self._held[held.id], self._lives[held.id]

    async def _run(self, held: ReplicaHandle) -> str:
        """Run it, again and again once it is published; return why it isn't any more."""
        policy = RestartPolicy(gives_up=True)
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            reason = await self._run_process(held)
            if held.is_stopping or not held.is_published:
                return held.verdict or reason
            pause = policy.failed(loop.time() - started)
            logger.warning(
                "replica of %s: %s",
                held.service.path,
                reason,
                extra={
                    "event": "replica.unready",
                    "deployment": held.generation.name,
                    "generation": held.generation.place[1],
                    "service": held.service.path,
                    "replica": held.id,
                },
            )
            # Where people look for why: its own log.
            held.output.add(ERROR_FD, f"rootward: this replica has ended: {reason}\n")
            if pause is None:
                return f"given up after {policy.failures} failures in a row: {reason}"
            await self._registrar.put(held, ReplicaState.UNREADY, reason)
            self.on_news()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(held.stop_asked.wait(), pause)
                return "it was stopped"
            self.restarts[held.service.path] += 1

    async def _run_process(self, held: ReplicaHandle) -> str:
        """Run one process from its fork to its end; return how it ended."""
        again = held.loaded.done()
        try:
            await self._start(held)
            if again:
                await self._publish(held)
        except Exception as error:
            held.kill()
            if not again:
                raise
            return str(error)
        if not held.loaded.done():
            held.loaded.set_result(None)
        self.watch.begin(held)
        try:
            return await asyncio.shield(held.ended)
        finally:
            self.watch.end(held)

    async def _start(self, held: ReplicaHandle) -> None:
        """Start one process; return when it has loaded and listens."""
        limit_s = held.service.startup_timeout
        try:
            async with asyncio.timeout(limit_s):
                output = held.output if held.task is None else held.task.output
                if held.holding is not None:
                    await until_gone(held.pid)
                env = held.environment if held.holding is not None else None
                template = await held.generation.template(output, env)
                try:
                    with await bound_for(held, self._host) as listener:
                        self._fork(held, template, listener)
                finally:
                    template.close_unused()
                await held.until_ready()
        except TimeoutError:
            why = f"it was not ready within its startup_timeout of {limit_s:g} s"
            if held.last_answer:
                why = f"{why}: {held.last_answer}"
            why = held.waits_for or why
            held.kill(why)
            raise held.failure(why) from None
        if held.is_stopping:
            raise held.failure("it was stopped while it started")

    def _fork(self, held: ReplicaHandle, template: Template, listener: socket.socket) -> None:
        if held.is_stopping:
            raise held.failure("it was stopped before it started")
        spec = spec_of(held, self._signer, self._host)
        child = template.replica(held.id, spec, listener)
        held.attach(child, spec.token, listener.getsockname()[:2])
        held.generation.greet(child)

    async def _publish(self, held: ReplicaHandle) -> None:
        """Bring it up to date, ask it whether it is ready, and register it."""
        held.send_states()
        await held.until_applied()
        await _answers(held)
        if held.is_stopping or not await self._registrar.put(held, ReplicaState.READY):
            raise held.failure("its generation has ended")
        # A task may have changed the state before the store knew that there was a replica to tell.
        await held.generation.catch_up()
        held.send_states()

    def _end(self, held: ReplicaHandle, reason: str) -> None:
        held.stop_asked.set()
        held.kill(reason)
        if not held.loaded.done():
            held.loaded.set_exception(held.failure(reason))

    async def _lived(self, held: ReplicaHandle) -> None:
        life = self._lives.get(held.id)
        if life is not None:
            await asyncio.wait({life})


async def _answers(held: ReplicaHandle) -> None:
    """Return when the replica says over HTTP that it is ready; raises ServeFailed."""
    if held.service.is_foreign:
        # Whoever keeps it has asked it already, in the way that it understands.
        return
    deadline = asyncio.get_running_loop().time() + held.service.startup_timeout
    while not (answer := await held.unless_ended(probe(*held.address, held.token))).is_ready:
        if asyncio.get_running_loop().time() > deadline:
            raise held.failure(f"GET /readyz: {answer.detail}")
        await asyncio.sleep(_PROBE_PAUSE_S)
