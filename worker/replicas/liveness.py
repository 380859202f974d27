"""The watch over the replicas that run: each hears that its agent lives, and is asked the same.

One round looks after all of them, once a second and only while there are any; a ping wakes a
replica, so it comes seldom, and to all that are due in one round at once. One that doesn't answer
is first withdrawn and then killed, at once when the kernel says that somebody has stopped it, and
published again when it answers in between.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import TYPE_CHECKING

from rootward.orchestrator.states import ReplicaState

from .probe import probe

if TYPE_CHECKING:
    from .registrar import Registrar
    from .replica_handle import HeldReplica

logger = logging.getLogger(__name__)

ROUND_S = 1.0
PING_S = 3.0
UNREADY_AFTER_S = 2.5
KILL_AFTER_S = 10.0
_SHORTEST_S = 0.05


class Verdict(Enum):
    """What is to be done about a replica."""

    LEAVE = auto()
    WITHDRAW = auto()
    BRING_BACK = auto()
    KILL = auto()


def judge(silent_s: float, state: ReplicaState, is_stopped: Callable[[], bool]) -> Verdict:
    """Say what to do about a replica that owes an answer for `silent_s` seconds (0: none).

    `is_stopped` tells whether somebody has stopped its process; it is asked of silent ones only.
    """
    if silent_s > KILL_AFTER_S or (silent_s > UNREADY_AFTER_S and is_stopped()):
        return Verdict.KILL
    if silent_s > UNREADY_AFTER_S and state is ReplicaState.READY:
        return Verdict.WITHDRAW
    if not silent_s and state is ReplicaState.UNREADY:
        return Verdict.BRING_BACK
    return Verdict.LEAVE


def ping_pause_s(ttl: float | None) -> float:
    """Return the seconds until the next ping of a replica that ends itself in `ttl` seconds."""
    return PING_S if ttl is None else min(PING_S, max(ttl / 3, _SHORTEST_S))


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
        self._running: set[HeldReplica] = set()
        self._telling: dict[HeldReplica, asyncio.Task[None]] = {}
        self._round: asyncio.Task[None] | None = None
        self._number = 0

    def begin(self, held: HeldReplica) -> None:
        """Look after a process that has just begun to serve."""
        self._running.add(held)
        held.ping_at = 0.0
        held.asked_at = None
        self._ping(held, time.monotonic())
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._go_rounds(), name="watch")

    def end(self, held: HeldReplica) -> None:
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

    def _look_after(self, held: HeldReplica, now: float) -> float:
        if is_due(now, held.ping_at, held.ping_pause_s):
            self._ping(held, now)
        silent_s = 0.0 if held.asked_at is None else now - held.asked_at
        match judge(silent_s, held.state, lambda: held.is_stopped):
            case Verdict.KILL:
                held.kill(f"it did not answer for {silent_s:.0f} s and was killed")
            case Verdict.WITHDRAW if held not in self._telling:
                self._tell(held, self._withdraw(held))
            case Verdict.BRING_BACK if held not in self._telling:
                self._tell(held, self._bring_back(held))
        return max(held.ping_at - now, _SHORTEST_S)

    def _ping(self, held: HeldReplica, now: float) -> None:
        assert held.child is not None
        ttl = None if self.left_s is None else self.left_s(held.service.exclusive)
        self._number += 1
        held.child.send({"op": "ping", "n": self._number, "ttl": ttl})
        if held.asked_at is None:
            held.asked_at = now
        held.ping_pause_s = ping_pause_s(ttl)
        held.ping_at = now + held.ping_pause_s

    def _tell(self, held: HeldReplica, work: Coroutine[None, None, None]) -> None:
        """Do it beside the rounds: telling the store may take long."""
        task = self._telling[held] = asyncio.create_task(work)
        task.add_done_callback(lambda done: self._told(held, done))

    def _told(self, held: HeldReplica, done: asyncio.Task[None]) -> None:
        if self._telling.get(held) is done:
            del self._telling[held]
        if not done.cancelled() and (error := done.exception()) is not None:
            logger.error("telling of a replica", exc_info=error, extra={"event": "replica.untold"})

    async def _withdraw(self, held: HeldReplica) -> None:
        await self._registrar.put(
            held, ReplicaState.UNREADY, f"no answer for {UNREADY_AFTER_S:g} s"
        )

    async def _bring_back(self, held: HeldReplica) -> None:
        answer = await probe(*held.address, held.token)
        if answer.is_ready and not held.is_stopping:
            await self._registrar.put(held, ReplicaState.READY)
