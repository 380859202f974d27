"""The watch over the replicas that run: each hears that its agent lives, and is asked the same.

One round looks after all of them, once a second and only while there are any; a ping wakes a
replica, so it comes seldom, and to all that are due in one round at once. Silence alone doesn't say
that a replica is dead: a call may hold the interpreter's lock. One that neither answers nor works
is first withdrawn and then killed, at once when the kernel says that somebody has stopped it; one
that works is withdrawn when that lasts, and never killed unless its calls have a limit. Both are
published again when they answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from rootward.orchestrator.states import ReplicaState

from .probe import probe

if TYPE_CHECKING:
    from .registrar import Registrar
    from .replica_handle import ReplicaHandle

logger = logging.getLogger(__name__)

ROUND_S = 1.0
PING_S = 3.0
UNREADY_AFTER_S = 2.5
MOST_FAILURES = 3
_READY = ReplicaState.READY
# One that drains ends by itself.
_CALLED = frozenset({_READY, ReplicaState.UNREADY})
# The replica's own limit of a call comes first, where it can act.
_OVERDUE_MARGIN_S = 1.0
_SHORTEST_S = 0.05


class Verdict(Enum):
    """What is to be done about a replica."""

    LEAVE = auto()
    WITHDRAW = auto()
    BRING_BACK = auto()
    KILL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What is known of a replica's life; times in seconds.

    `silent_s` is for how long it has owed an answer (0: it owes none), `idle_s` for how long it has
    done nothing meanwhile, `blocked_s` for how long its event loop has been blocked, `call_s` how
    long a call has run at least. `failures` is how often in a row its own health has failed, the
    last time for the reason `ailment`.
    """

    silent_s: float = 0.0
    idle_s: float = 0.0
    blocked_s: float = 0.0
    call_s: float = 0.0
    is_stopped: bool = False
    failures: int = 0
    ailment: str = ""


def judge(
    signs: Signs, state: ReplicaState, *, ping_timeout: float, call_timeout: float | None = None
) -> tuple[Verdict, str]:
    """Say what to do about a replica, and why; times in seconds."""
    silent_s, idle_s = signs.silent_s, signs.idle_s
    if signs.is_stopped and silent_s > UNREADY_AFTER_S:
        return Verdict.KILL, f"its process was stopped: no answer for {silent_s:.0f} s"
    if idle_s > ping_timeout:
        return Verdict.KILL, f"it did not answer for {idle_s:.0f} s, and used no CPU meanwhile"
    if call_timeout is not None and signs.call_s > call_timeout + _OVERDUE_MARGIN_S:
        return Verdict.KILL, f"a call took longer than its call_timeout of {call_timeout:g} s"
    if signs.failures and state in _CALLED:
        if signs.failures >= MOST_FAILURES:
            return Verdict.KILL, f"{signs.ailment}, {signs.failures} times in a row"
        return (Verdict.WITHDRAW, signs.ailment) if state is _READY else (Verdict.LEAVE, "")
    if state is ReplicaState.READY:
        if idle_s > min(UNREADY_AFTER_S, ping_timeout):
            return Verdict.WITHDRAW, f"no answer for {idle_s:.0f} s"
        if silent_s > ping_timeout:
            return Verdict.WITHDRAW, f"no answer for {silent_s:.0f} s, but it uses CPU: it works"
        if signs.blocked_s > ping_timeout:
            return (
                Verdict.WITHDRAW,
                f"a call has blocked its event loop for {signs.blocked_s:.0f} s",
            )
    elif state is ReplicaState.UNREADY and not silent_s and signs.blocked_s <= ping_timeout:
        return Verdict.BRING_BACK, ""
    return Verdict.LEAVE, ""


def ping_pause_s(ttl: float | None, limit_s: float | None = None) -> float:
    """Return the seconds until the next ping.

    The replica ends itself in `ttl` seconds, and something is to be noticed within `limit_s`.
    """
    limits = [s for s in (ttl, limit_s) if s is not None]
    return min(PING_S, max(min(limits, default=PING_S * 3) / 3, _SHORTEST_S))


def is_due(now: float, ping_at: float, pause_s: float) -> bool:
    """Say whether a ping goes out in the round at `now`: one nearer to it than to the next does."""
    return now >= ping_at - min(ROUND_S, pause_s) / 2


class Watch:
    """Looks after what was given to it by `begin`, until `end`."""

    def __init__(self, registrar: Registrar) -> None:
        """Look after nothing yet."""
        # How long a replica may serve without hearing from here; set when there is a lease.
        self.left_s: Callable[[bool], float] | None = None
        self._registrar = registrar
        self._running: set[ReplicaHandle] = set()
        self._telling: dict[ReplicaHandle, asyncio.Task[object]] = {}
        self._round: asyncio.Task[None] | None = None
        self._number = 0

    def begin(self, held: ReplicaHandle) -> None:
        """Look after a process that has just begun to serve."""
        self._running.add(held)
        held.ping_at = 0.0
        held.asked_at = None
        self._ping(held, time.monotonic())
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._go_rounds(), name="watch")

    def end(self, held: ReplicaHandle) -> None:
        """Its process has ended."""
        self._running.discard(held)
        telling = self._telling.pop(held, None)
        if telling is not None:
            telling.cancel()

    async def _go_rounds(self) -> None:
        pause_s = ROUND_S
        while self._running:
            due = time.monotonic() + pause_s
            await asyncio.sleep(pause_s)
            now = time.monotonic()
            if now - due > ROUND_S:
                # It was this process that slept: nobody else is judged by that time.
                for held in self._running:
                    held.asked_at = None
            pause_s = self.run_once(now)

    def run_once(self, now: float) -> float:
        """Look after each at `now` (monotonic seconds); return how long that may be left alone."""
        return min([ROUND_S, *(self._look_after(held, now) for held in self._running)])

    def _look_after(self, held: ReplicaHandle, now: float) -> float:
        if is_due(now, held.ping_at, held.ping_pause_s):
            self._ping(held, now)
        service = held.service
        verdict, why = judge(
            replace(self._signs(held, now), failures=held.failures, ailment=held.ailment),
            held.state,
            ping_timeout=service.ping_timeout,
            call_timeout=service.call_timeout,
        )
        match verdict:
            case Verdict.KILL:
                held.kill(f"{why}; it was killed")
            case Verdict.WITHDRAW if held not in self._telling:
                self._tell(held, self._registrar.put(held, ReplicaState.UNREADY, why))
            case Verdict.BRING_BACK if held not in self._telling:
                self._tell(held, self._bring_back(held))
        return max(held.ping_at - now, _SHORTEST_S)

    def _signs(self, held: ReplicaHandle, now: float) -> Signs:
        call_s = 0.0 if held.call_since is None else now - held.call_since
        if held.asked_at is None:
            return Signs(blocked_s=held.loop_s, call_s=call_s)
        silent_s = now - held.asked_at
        if silent_s <= _SHORTEST_S:
            return Signs(silent_s=silent_s, blocked_s=held.loop_s, call_s=call_s)
        # The kernel is asked of silent ones only.
        if held.effort.has_worked(held.pid):
            held.worked_at = now
        # Whatever keeps it from answering has lasted that long at least.
        return Signs(
            silent_s=silent_s,
            idle_s=now - max(held.worked_at, held.asked_at),
            blocked_s=held.loop_s,
            call_s=max(call_s, silent_s),
            is_stopped=silent_s > UNREADY_AFTER_S and held.is_stopped,
        )

    def _ping(self, held: ReplicaHandle, now: float) -> None:
        assert held.child is not None
        ttl = None if self.left_s is None else self.left_s(held.service.exclusive)
        self._number += 1
        held.child.send({"op": "ping", "n": self._number, "ttl": ttl})
        if held.asked_at is None:
            held.asked_at = now
        service = held.service
        limits = [s for s in (service.call_timeout, service.ping_timeout) if s is not None]
        held.ping_pause_s = ping_pause_s(ttl, min(limits))
        held.ping_at = now + held.ping_pause_s

    def _tell(self, held: ReplicaHandle, work: Coroutine[Any, Any, object]) -> None:
        """Do it beside the rounds: telling the store may take long."""
        task: asyncio.Task[object] = asyncio.create_task(work)
        self._telling[held] = task
        task.add_done_callback(lambda done: self._told(held, done))

    def _told(self, held: ReplicaHandle, done: asyncio.Task[object]) -> None:
        if self._telling.get(held) is done:
            del self._telling[held]
        if not done.cancelled() and (error := done.exception()) is not None:
            logger.error("telling of a replica", exc_info=error, extra={"event": "replica.untold"})

    async def _bring_back(self, held: ReplicaHandle) -> None:
        is_ready = held.service.is_foreign or (await probe(*held.address, held.token)).is_ready
        if is_ready and not held.is_stopping:
            await self._registrar.put(held, ReplicaState.READY)
