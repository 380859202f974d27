"""One slot as its pool holds it: the process, the tasks that were handed to it, and their output.

Its tasks begin in the order in which they were added, each when the one before it has ended; until
then it can be taken back. What the process prints while it has one task is that task's. With more
it isn't read before a task has ended: a slot whose task has printed waits until that was read.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import psutil

from rootward.orchestrator.states import TaskState

from ..work.assignment import Assignment, Leaving, Outcome, TaskLost, how_it_ended

if TYPE_CHECKING:
    from rootward.modules.processes.forkserver import Child
    from rootward.modules.processes.scarcity import NoProcess

    from ..devices.resources import Holding
    from ..work.generation import Generation

TASKS_PER_CHILD = 1000
GROWTH_BYTES = 1 << 30
_MEASURE_S = 1.0


@dataclass(slots=True, kw_only=True, eq=False)
class Ticket:
    """A task that waits for a slot or has one; `told` is called once, with how that went.

    One that `holds` resources has a process of its own.
    """

    assignment: Assignment
    generation: Generation
    told: Callable[[Outcome | BaseException], None]
    since: float
    number: int = 0
    holds: bool = False


class Pool(Protocol):
    """Who a SlotHandle works for."""

    def done(
        self, slot: SlotHandle, turn: Ticket, outcome: Outcome | Leaving, took_s: float
    ) -> None:
        """Take that the first task of a slot has ended."""

    def ended(self, slot: SlotHandle, turn: Ticket | None, how: TaskLost | NoProcess) -> None:
        """Take that the process has ended, under which task, and take back what it didn't begin."""

    def share(self, slot: SlotHandle, assignment: Assignment, wish: Mapping[str, Any]) -> None:
        """Take what a running task wants of the store."""


class SlotHandle:
    """One slot; `limit_bytes` is the largest state of one module."""

    def __init__(self, generation: Generation, limit_bytes: int, pool: Pool) -> None:
        """Have neither process nor task yet."""
        self.child: Child | None = None
        self.generation = generation
        self.turns: deque[Ticket] = deque()
        self.since = time.monotonic()
        self.is_spoiled = False
        self.is_retiring = False
        self.is_lent = False
        self.evaluation: str | None = None
        # The resources of the one task that it is for; free when its process has ended.
        self.holding: Holding | None = None
        self._limit_bytes = limit_bytes
        self._pool = pool
        self._unsent: list[Ticket] = []
        self._seen = 0
        self._count = 0
        self._base_bytes = 0
        self._measured_at = 0.0

    def attach(self, child: Child) -> None:
        """Take over its new process, and send what was added until now."""
        self.child = child
        child.on_message = lambda _, message: self._hear(message)
        child.on_output = lambda _, fd, data: self._print(fd, data)
        child.on_exit = lambda _, status: self._end(status)
        self.since = time.monotonic()
        self._unsent = list(self.turns)
        self.send()

    def announce_stop(self) -> None:
        """Tell its task that the worker is leaving."""
        if self.child is not None:
            self.child.send({"op": "stopping"})

    def is_fit(self, assignment: Assignment) -> bool:
        """Whether a task may run in its process.

        A shard may leave changes of its module behind, which no other task is to see.
        """
        return self.evaluation in {None, assignment.evaluation}

    def say(self, message: Mapping[str, Any]) -> None:
        """Answer what its running task wanted."""
        if self.child is not None:
            self.child.lane.send({"op": "answer", **message})

    def add(self, turn: Ticket) -> None:
        """Let it run a task after those that it has; `send` tells it, once it has a process."""
        self.evaluation = self.evaluation or turn.assignment.evaluation
        self._count += 1
        turn.number = self._count
        if not self.turns:
            self.since = time.monotonic()
        self.turns.append(turn)
        self._unsent.append(turn)

    def send(self) -> None:
        """Send what was added, with the states that the process lacks."""
        if self.child is None:
            return
        turns, self._unsent = self._unsent, []
        log = self.generation.log
        states, self._seen = log[self._seen :], len(log)
        if len(self.turns) > 1:
            self.child.watch_output(False)
        self.child.lane.send(
            {"op": "run", "tasks": [self._described(turn) for turn in turns], "states": states}
        )
        self.child.lane.allow([turn.number for turn in turns])

    def take_back(self) -> list[Ticket]:
        """Return the tasks that haven't begun: it will not run them.

        Without a process yet it keeps the first: that is what the process is started for.
        """
        if self.child is None:
            back = list(self.turns)[1:]
            self.turns = deque(list(self.turns)[:1])
            return back
        self._unsent.clear()
        taken = set(self.child.lane.take_back())
        back = [turn for turn in self.turns if turn.number in taken]
        self.turns = deque(turn for turn in self.turns if turn.number not in taken)
        return back

    def look(self, before: float) -> bool:
        """Read what it prints as it comes, where it has had no or one task since `before`.

        Tasks that come and go in less are not worth that. Returns whether to look again.
        """
        if self.child is None or len(self.turns) > 1 or self.since >= before:
            return True
        self.child.watch_output(True)
        return False

    def kill(self) -> None:
        """End its process, if it has one."""
        if self.child is not None:
            self.child.kill()

    def take_holding(self) -> dict[str, str] | None:
        """Hold what its first task was claimed with; return the environment that comes with it."""
        self.holding = self.turns[0].assignment.pass_holding()
        return None if self.holding is None else self.holding.environment

    def end_holding(self) -> None:
        """Give back what it holds once its process is gone."""
        if self.holding is not None:
            self.holding.end(None if self.child is None else self.child.pid)

    @property
    def is_full(self) -> bool:
        """Whether it was given as many tasks as one process may run."""
        return self._count >= TASKS_PER_CHILD

    @property
    def is_worn(self) -> bool:
        """Whether it should be replaced before its next task."""
        if self.is_spoiled or self.is_full:
            return True
        now = time.monotonic()
        if now - self._measured_at < _MEASURE_S:
            return False
        self._measured_at = now
        assert self.child is not None
        try:
            size = int(psutil.Process(self.child.pid).memory_info().rss)
        except psutil.Error:
            return True
        self._base_bytes = self._base_bytes or size
        return size - self._base_bytes > GROWTH_BYTES

    def _described(self, turn: Ticket) -> dict[str, Any]:
        claim = turn.assignment.claim
        told: dict[str, Any] = {
            "number": turn.number,
            "kind": claim.kind,
            "path": claim.path,
            "limit": self._limit_bytes,
            "deployment": claim.name,
            "attempt": claim.attempt,
            "steps": claim.steps,
        }
        if (shard := turn.assignment.shard) is not None:
            told["shard"] = [shard.start, shard.stop]
        if turn.assignment.trace:
            told["trace"] = dict(turn.assignment.trace)
        return told

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("event") == "held":
            self.generation.hold(self.child, message["path"], message["count"])
            return
        if not self.turns or message["number"] != self.turns[0].number:
            return
        turn = self.turns[0]
        if (progress := message.get("progress")) is not None:
            turn.assignment.output.report(progress)
        if (wish := message.get("wish")) is not None:
            self._pool.share(self, turn.assignment, wish)
        if not message["done"]:
            return
        error = message["error"]
        if message["printed"]:
            assert self.child is not None
            # All of it is in the pipes: the slot has flushed, and waits.
            self.child.drain_output()
            self.child.lane.send({"op": "go"})
        self.turns.popleft()
        self.since = time.monotonic()
        self.is_lent = False
        self.is_spoiled = message["spoiled"]
        outcome: Outcome | Leaving
        if message["stopped"]:
            outcome = Leaving()
        elif error is None:
            outcome = Outcome(state=TaskState.SUCCEEDED, states=message["states"])
        else:
            outcome = turn.assignment.failed(error)
        self._pool.done(self, turn, outcome, message["took"])

    def _print(self, fd: int, data: bytes) -> None:
        # What it prints between two tasks belongs to none.
        if self.turns:
            self.turns[0].assignment.output.feed(fd, data)

    def _end(self, waitstatus: int | None) -> None:
        back = self.take_back()
        turn = self.turns.popleft() if self.turns else None
        self.turns.extend(back)
        assert self.child is not None
        how = self.child.refusal or TaskLost(how_it_ended(waitstatus))
        self._pool.ended(self, turn, how)
