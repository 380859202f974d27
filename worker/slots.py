"""The owner's side of the slots: children that run tasks, one at a time each, never user code here.

There are at most `limit` of them over all generations, busy or idle; tasks beyond that wait for
their turn, or go back when it doesn't come soon. An idle one is kept warm for the next task of its
generation; when another generation needs the place, the one that was idle longest goes. A child
that ends under its task, by whatever, is seen at once. One that has grown much or run many tasks
is replaced between two tasks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from orchestrator.states import TaskState

from .assignment import Assignment, NotBegun, Outcome, TaskLost, how_it_ended
from .pace import PATIENCE_S, Pace

if TYPE_CHECKING:
    from modules.hosting import Child

    from .generations import Generation

logger = logging.getLogger(__name__)

TASKS_PER_CHILD = 1000
GROWTH_BYTES = 1 << 30
_MEASURE_EVERY = 10


class _Slot:
    """One child and the task that it runs now, if any."""

    def __init__(self, child: Child, generation: Generation) -> None:
        self.child = child
        self.generation = generation
        self.seen = 0
        self.tasks = 0
        self.base_bytes = 0
        self.idle_since = 0.0
        self.is_taken = True
        self.is_spoiled = False
        self.ended: str | None = None
        self.assignment: Assignment | None = None
        self.answer: asyncio.Future[Outcome] | None = None

    def begin(self, assignment: Assignment, limit_bytes: int) -> asyncio.Future[Outcome]:
        """Send it a task with the states that it lacks; the future is its outcome."""
        if self.ended is not None:
            raise TaskLost(self.ended)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.assignment, self.answer = assignment, answer
        self.tasks += 1
        log = self.generation.log
        states, self.seen = log[self.seen :], len(log)
        claim = assignment.claim
        self.child.send(
            {
                "op": "run",
                "job": claim.job_id,
                "kind": claim.kind,
                "path": claim.path,
                "states": states,
                "limit": limit_bytes,
                "trace": dict(assignment.trace),
            }
        )
        return answer

    def hear(self, message: dict[str, Any]) -> None:
        """Take what the child says."""
        assignment, answer = self.assignment, self.answer
        if message.get("event") != "done" or assignment is None or answer is None:
            return
        if message.get("job") != assignment.claim.job_id or answer.done():
            return
        # The child has flushed both streams before it said so: all of the task's output is here.
        self.child.drain_output()
        # A task that failed may have left half of its changes behind.
        self.is_spoiled = not message.get("reusable", True)
        if message["state"] == "succeeded":
            outcome = Outcome(state=TaskState.SUCCEEDED, states=message.get("states") or ())
        else:
            outcome = assignment.failed(message.get("error") or {})
        answer.set_result(outcome)

    def print(self, fd: int, data: bytes) -> None:
        """Take what the child printed; what it prints between two tasks belongs to none."""
        if self.assignment is not None:
            self.assignment.output.feed(fd, data)

    def end(self, waitstatus: int | None) -> None:
        """Take that the child has ended."""
        self.ended = how_it_ended(waitstatus)
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(TaskLost(self.ended))

    @property
    def is_worn(self) -> bool:
        """Whether it should be replaced before its next task."""
        if self.is_spoiled or self.tasks >= TASKS_PER_CHILD:
            return True
        if self.tasks != 1 and self.tasks % _MEASURE_EVERY:
            return False
        try:
            size = int(psutil.Process(self.child.pid).memory_info().rss)
        except psutil.Error:
            return True
        if self.tasks == 1:
            self.base_bytes = size
        return size - self.base_bytes > GROWTH_BYTES


class _Waiting(NamedTuple):
    """A task that was claimed ahead, and since when it waits."""

    assignment: Assignment
    turn: asyncio.Future[None]
    since: float


class Slots:
    """The pool of at most `limit` slots."""

    def __init__(self, limit: int, state_limit: int) -> None:
        """Start none yet; `state_limit` is the largest state of one module in bytes."""
        self.limit = limit
        self._state_limit = state_limit
        self._slots: list[_Slot] = []
        self._numbers = 0
        self._busy = 0
        self._waiting: deque[_Waiting] = deque()
        self._pace = Pace()
        self._watch: asyncio.TimerHandle | None = None

    @property
    def ahead(self) -> int:
        """How many tasks may be claimed beyond the free slots."""
        return self._pace.ahead(self.limit)

    @property
    def busy(self) -> int:
        """How many run a task."""
        return self._busy

    @property
    def pids(self) -> list[int]:
        """The process of each slot."""
        return [slot.child.pid for slot in self._slots if slot.child.pid is not None]

    async def run(self, assignment: Assignment, generation: Generation) -> Outcome:
        """Run one task in a slot of its generation.

        Raises LoadFailed when the tree can't be loaded, TaskLost when the child ended under it,
        NotBegun when no slot was free for it soon.
        """
        generation.uses += 1
        slot: _Slot | None = None
        try:
            await self._turn(assignment)
        except BaseException:
            generation.uses -= 1
            raise
        try:
            slot = self._idle(generation) or await self._start(assignment, generation)
            if assignment.ended_by is not None:
                raise TaskLost("it was told to end before it began")
            began = time.monotonic()
            outcome = await slot.begin(assignment, self._state_limit)
            self._pace.note(time.monotonic() - began)
            return outcome
        finally:
            self._busy -= 1
            generation.uses -= 1
            generation.used_at = time.monotonic()
            if slot is not None:
                self._rest(slot)
            self._call_next()

    def kill(self, assignment: Assignment) -> bool:
        """End the process that runs it, or its waiting; False when it does neither (yet)."""
        for waiting in self._waiting:
            if waiting.assignment is assignment and not waiting.turn.done():
                waiting.turn.set_exception(TaskLost("it was told to end before it began"))
                return True
        for slot in self._slots:
            if slot.assignment is assignment:
                slot.child.kill()
                return True
        return False

    def give_back(self) -> None:
        """Let all that waits for a slot go back to its queue."""
        while self._waiting:
            turn = self._waiting.popleft().turn
            if not turn.done():
                turn.set_exception(NotBegun)

    def kill_all(self) -> None:
        """End every slot, busy or idle."""
        for slot in list(self._slots):
            slot.child.kill()

    async def _turn(self, assignment: Assignment) -> None:
        """Return when a slot is free for it, which is then its own."""
        if self._busy < self.limit:
            self._busy += 1
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(_Waiting(assignment, turn, loop.time()))
        if self._watch is None:
            self._watch = loop.call_later(PATIENCE_S, self._look_at_waiting, loop)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # Its turn had come in the same moment.
                self._busy -= 1
                self._call_next()
            raise

    def _call_next(self) -> None:
        while self._waiting and self._busy < self.limit:
            turn = self._waiting.popleft().turn
            if not turn.done():
                # Taken here, so that nobody comes between.
                self._busy += 1
                turn.set_result(None)

    def _look_at_waiting(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give all back once the first has waited too long: a task before it turned out long."""
        self._watch = None
        if not self._waiting:
            return
        left_s = self._waiting[0].since + PATIENCE_S - loop.time()
        if left_s <= 0:
            self._pace.slow_down()
            self.give_back()
        else:
            self._watch = loop.call_later(left_s, self._look_at_waiting, loop)

    def _idle(self, generation: Generation) -> _Slot | None:
        idle = [s for s in self._slots if not s.is_taken and s.generation is generation]
        # The latest: its caches are warm, and the others can go.
        latest = max(idle, key=lambda slot: slot.idle_since, default=None)
        if latest is not None:
            latest.is_taken = True
        return latest

    async def _start(self, assignment: Assignment, generation: Generation) -> _Slot:
        template = await generation.ready(assignment.output)
        self._make_room()
        self._numbers += 1
        slot = _Slot(template.slot(f"slot-{self._numbers}"), generation)
        child = slot.child
        child.on_message = lambda _, message: slot.hear(message)
        child.on_output = lambda _, fd, data: slot.print(fd, data)
        child.on_exit = lambda _, status: self._ended(slot, status)
        self._slots.append(slot)
        generation.greet(child)
        return slot

    def _make_room(self) -> None:
        if len(self._slots) < self.limit:
            return
        idle = [slot for slot in self._slots if not slot.is_taken]
        if idle:
            oldest = min(idle, key=lambda slot: slot.idle_since)
            self._slots.remove(oldest)
            oldest.child.kill()

    def _rest(self, slot: _Slot) -> None:
        if slot.answer is not None and not slot.answer.done():
            # Whoever waited has given up, at a time-out for example: the task must not go on.
            slot.answer.cancel()
            slot.child.kill()
            self._slots.remove(slot)
        slot.assignment = slot.answer = None
        slot.is_taken = False
        slot.idle_since = time.monotonic()
        if slot in self._slots and slot.is_worn:
            self._slots.remove(slot)
            slot.child.kill()

    def _ended(self, slot: _Slot, waitstatus: int | None) -> None:
        if slot in self._slots:
            self._slots.remove(slot)
        slot.generation.children.discard(slot.child)
        slot.end(waitstatus)
