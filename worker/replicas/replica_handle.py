"""One replica as its supervisor holds it: the process, what it was sent, and where it stands.

It keeps no policy: when a replica is started, published, restarted or stopped is the supervisor's
to decide. What it guards is that nobody waits for a process that has ended: `unless_ended` gives
up at once, with the reason.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from typing import TYPE_CHECKING, Any, TypeVar

from rootward.modules.errors import ServeFailed
from rootward.modules.processes.effort import Effort
from rootward.modules.processes.states_sent import StatesSent
from rootward.orchestrator.states import ReplicaState
from rootward.orchestrator.store.records import ERROR_FD

from ..child.stopped_processes import is_stopped
from ..work.assignment import Assignment, TaskLost, how_it_ended
from ..work.output import Output

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rootward.modules.processes.forkserver import Child
    from rootward.orchestrator.planning.graph import Service
    from rootward.orchestrator.store.records import ReplicaRecord

    from ..devices.resources import Holding
    from ..work.generation import Generation

T = TypeVar("T")


class ReplicaHandle:
    """One running copy of a served module; it keeps its id when its process is replaced."""

    # The resources that its process has, until the end of the last one.
    holding: Holding | None = None

    def __init__(self, generation: Generation, service: Service) -> None:
        """Give it an id; no process yet."""
        loop = asyncio.get_running_loop()
        self.id = secrets.token_hex(8)
        self.generation = generation
        self.service = service
        self.state = ReplicaState.STARTING
        self.since = time.time()
        # As it was registered last; None before.
        self.record: ReplicaRecord | None = None
        self.url = ""
        self.token = ""
        # The calls under way, as it has said last.
        self.load = 0.0
        self.address: tuple[str, int] = ("", 0)
        self.child: Child | None = None
        self._states: StatesSent | None = None
        # Of the watch: when the next ping is due, how long after the last one, and since when one
        # has had no answer.
        self.ping_at = self.ping_pause_s = 0.0
        self.asked_at: float | None = None
        # What the last ping's answer said: for how long its loop has been blocked (seconds), and
        # since when its oldest call has been under way; and when it was last seen to work.
        self.loop_s = 0.0
        self.call_since: float | None = None
        self.worked_at = 0.0
        self.effort = Effort()
        # What its own health says: failures in a row, and the reason of the last.
        self.failures, self.ailment = 0, ""
        self.calls = 0
        self.calls_changed = asyncio.Event()
        self.drain_until = float("inf")
        self.verdict: str | None = None
        self.waits_for: str | None = None
        # What a foreign server said last, while it starts.
        self.last_answer = ""
        self.is_over = False
        self.output = Output()
        self.on_print: Callable[[], None] = lambda: None
        self.task: Assignment | None = None
        self.is_published = False
        self.is_void = False
        self.stop_asked = asyncio.Event()
        self.loaded: asyncio.Future[None] = loop.create_future()
        # Nobody may be waiting any more when a start fails.
        self.loaded.add_done_callback(_look_at)
        self._waitstatus: int | None = None
        self._loop = loop
        self._ready: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end."""
        return self.stop_asked.is_set()

    @property
    def is_stopped(self) -> bool:
        """Whether its process was stopped by a signal: it answers nobody until it is continued."""
        return self.pid is not None and is_stopped(self.pid)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that its process has before the user's code; the devices' come last."""
        return {**self.service.env, **(self.holding.environment if self.holding else {})}

    @property
    def pid(self) -> int | None:
        """Its process, once that is known."""
        return self.child.pid if self.child is not None else None

    def awaits(self, generation: Generation, path: str) -> bool:
        """Whether it was prepared for the module at `path` and waits for its deploy."""
        if self.is_published or self.is_stopping or self.is_over:
            return False
        return self.generation is generation and self.service.path == path

    def attach(self, child: Child, token: str, address: tuple[str, int]) -> None:
        """Take over a new process, which answers at `address` under `token`."""
        self.child, self.token = child, token
        self._answers_at(*address)
        self.since = time.time()
        self._waitstatus = None
        # What it starts with is in its spec.
        self._states = StatesSent(child, len(self.generation.log))
        self.verdict = None
        self.asked_at = self.call_since = None
        self.loop_s = self.worked_at = 0.0
        self.failures, self.last_answer = 0, ""
        self._ready = self._loop.create_future()
        self._ready.add_done_callback(_look_at)
        self.ended = self._loop.create_future()
        child.on_message = lambda _, message: self._hear(message)
        child.on_output = lambda _, fd, data: self._print(fd, data)
        child.on_exit = self._end

    def _answers_at(self, host: str, port: int) -> None:
        self.address = host, port
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def send_states(self) -> None:
        """Send the states that it hasn't seen; `until_applied` tells when it has them."""
        if self._states is not None:
            self._states.send(self.generation.log)

    async def until_ready(self) -> None:
        """Return when it has loaded and listens; raises ServeFailed with what its process said."""
        await self.unless_ended(self._ready)
        assert self.child is not None
        # Whoever is registered is registered with the id of its process.
        await self.unless_ended(asyncio.shield(self.child.pid_known))

    async def until_applied(self) -> None:
        """Return when it has the states that it was sent last."""
        assert self._states is not None
        await self.unless_ended(self._states.until_applied())

    async def unless_ended(self, awaitable: Awaitable[T]) -> T:
        """Wait for it, but no longer than the process lives: ServeFailed says how it ended."""
        waited = asyncio.ensure_future(awaitable)
        both: set[asyncio.Future[Any]] = {waited, self.ended}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if waited.done():
            return waited.result()
        waited.cancel()
        raise self._end_as_error()

    def limit_drain(self, grace_s: float) -> None:
        """Let a drain, now or later, take no more than `grace_s` seconds from now."""
        self.drain_until = min(self.drain_until, self._loop.time() + grace_s)

    def drain(self) -> None:
        """Let it end after its calls, or when the time for that is over."""
        assert self.child is not None
        left_s = max(0.0, self.drain_until - self._loop.time())
        self.child.send({"op": "drain", "grace": left_s})
        self.calls_changed.set()

    def failure(self, reason: str) -> ServeFailed:
        """Return the error that says why it can't be served."""
        return ServeFailed(self.service.path, reason)

    def kill(self, verdict: str | None = None) -> None:
        """End its process at once; `verdict` is then the reason of its end."""
        if verdict is not None and self.verdict is None:
            self.verdict = verdict
        if self.child is not None and not self.ended.done():
            self.child.kill()

    def _end_as_error(self) -> Exception:
        # What a signal ended, unless it was ours, says nothing about the module: it is a loss.
        status, refusal = self._waitstatus, self.child.refusal if self.child is not None else None
        if self.verdict is None and refusal is not None:
            return refusal
        if self.verdict is None and status is not None and os.WIFSIGNALED(status):
            return TaskLost(self.ended.result())
        return self.failure(self.ended.result())

    def _hear(self, message: dict[str, Any]) -> None:
        self.asked_at = None
        match message.get("event"):
            case "pong":
                self.loop_s = message.get("loop_s", 0.0)
                call_s = message.get("call_s")
                self.call_since = None if call_s is None else time.monotonic() - call_s
            case "ending" if self.verdict is None:
                self.verdict = message["reason"]
            case "error":
                self._log_error(message["text"])
            case "ready" if not self._ready.done():
                # A foreign server may have got another port than the one that was free before.
                self._answers_at(self.address[0], message.get("port", self.address[1]))
                self._ready.set_result(None)
            case "waiting":
                self.last_answer = message["reason"]
            case "health":
                self.failures, self.ailment = message["failures"], message["reason"]
            case "failed" if not self._ready.done():
                error = message.get("error") or {}
                if self.task is None:
                    # No task fails of it that would tell.
                    self._log_error(error.get("traceback", ""))
                self._ready.set_exception(UserFailure(error))
            case "calls":
                self.calls = message["count"]
                self.calls_changed.set()
            case "load":
                self.load = message["calls"]
                self.generation.on_demand()
            case "held":
                self.generation.hold(self.child, message["path"], message["count"])
            case "states_applied" if self._states is not None:
                self._states.applied()

    def _print(self, fd: int, data: bytes) -> None:
        # While a task brings it up, what it prints is that task's output.
        output = self.output if self.task is None else self.task.output
        output.feed(fd, data)
        self.on_print()

    def _log_error(self, text: str) -> None:
        self.output.add(ERROR_FD, text)
        self.on_print()

    def _end(self, child: Child, waitstatus: int | None) -> None:
        self.generation.children.discard(child)
        self.load = 0.0
        self._waitstatus = waitstatus
        if self._states is not None:
            self._states.end()
        # Whoever waits for its calls needs to wait no more.
        self.calls_changed.set()
        if not self.ended.done():
            how = str(child.refusal) if child.refusal is not None else how_it_ended(waitstatus)
            self.ended.set_result(self.verdict or how)


class UserFailure(Exception):
    """What the user's code raised while a replica loaded: type, message, traceback."""

    def __init__(self, error: dict[str, str]) -> None:
        super().__init__(f"{error.get('type', 'error')}: {error.get('message', '')}")
        self.error = error


def _look_at(done: asyncio.Future[None]) -> None:
    """Take note of an error, so that the loop doesn't report it as never looked at."""
    if not done.cancelled():
        done.exception()
