"""The owner's side of the slots: children that run tasks, one at a time each, never user code here.

There are at most `limit` of them over all generations, busy or idle. Tasks beyond that wait: in a
slot's own lane while tasks are short, so that it goes on without asking, else here; what waits too
long goes back to its queue, and nothing waits behind a task that turns out long. An idle slot is
kept warm for the next task of its generation; when another generation needs the place, the one
that was idle longest goes. A child that ends under its task, by whatever, is seen at once. One that
has grown much or run many tasks is replaced between two tasks.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .assignment import Assignment, NotBegun, Outcome, TaskLost
from .held_slot import HeldSlot, Turn
from .pace import PATIENCE_S, Pace

if TYPE_CHECKING:
    from .generations import Generation

_REST_S = 0.05
_TOLD_TO_END = "it was told to end before it began"


class Slots:
    """The pool of at most `limit` slots."""

    def __init__(self, limit: int, state_limit: int) -> None:
        """Start none yet; `state_limit` is the largest state of one module in bytes."""
        self.limit = limit
        self._state_limit = state_limit
        self._slots: list[HeldSlot] = []
        self._names = 0
        self._turns: dict[Assignment, Turn] = {}
        self._waiting: deque[Turn] = deque()
        self._starting: dict[Turn, asyncio.Task[None]] = {}
        self._pace = Pace()
        self._is_due = False
        self._busy_at = 0.0
        self._watch: asyncio.TimerHandle | None = None

    @property
    def ahead(self) -> int:
        """How many tasks may be claimed beyond the free slots."""
        if not self._turns and time.monotonic() - self._busy_at > _REST_S:
            # What comes next may be of another kind.
            self._pace.slow_down()
        return self._pace.ahead * self.limit

    @property
    def busy(self) -> int:
        """How many run a task."""
        return sum(bool(slot.turns) for slot in self._slots)

    @property
    def pids(self) -> list[int]:
        """The process of each slot."""
        return [slot.child.pid for slot in self._slots if slot.child.pid is not None]

    def run(
        self,
        assignment: Assignment,
        generation: Generation,
        told: Callable[[Outcome | BaseException], None],
    ) -> None:
        """Run one task in a slot of its generation; `told` is called later, once.

        It gets the outcome or an error: what the load of the tree raised, TaskLost when the child
        ended under it, NotBegun when no slot was free for it soon.
        """
        generation.uses += 1
        now = time.monotonic()
        turn = Turn(assignment=assignment, generation=generation, told=told, since=now)
        self._turns[assignment] = turn
        self._waiting.append(turn)
        self._soon()

    def kill(self, assignment: Assignment) -> bool:
        """End the process that runs it, or its waiting; False when it does neither."""
        turn = self._turns.get(assignment)
        if turn is None:
            return False
        slot = self._out(turn)
        if slot is not None:
            slot.child.kill()
        else:
            self._tell(turn, TaskLost(_TOLD_TO_END))
        return True

    def drop(self, assignment: Assignment, error: BaseException) -> bool:
        """End it wherever it is and tell `error` at once; False when it isn't here."""
        turn = self._turns.get(assignment)
        if turn is None:
            return False
        slot = self._out(turn)
        if slot is not None:
            slot.turns.remove(turn)
            self._let_go(slot)
        self._tell(turn, error)
        self._soon()
        return True

    def give_back(self) -> None:
        """Let all that waits for a slot go back to its queue."""
        for slot in self._slots:
            self._waiting.extend(slot.take_back())
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            self._tell(turn, NotBegun())

    def kill_all(self) -> None:
        """End every slot, busy or idle."""
        for slot in list(self._slots):
            slot.child.kill()

    def done(self, slot: HeldSlot, turn: Turn, outcome: Outcome, took_s: float) -> None:
        """Take that the first task of a slot has ended."""
        self._pace.note(took_s)
        if slot.is_worn:
            slot.is_retiring = True
            self._put_back(slot.take_back())
        if slot.is_spoiled or (slot.is_retiring and not slot.turns):
            self._let_go(slot)
        self._tell(turn, outcome)
        if self._waiting:
            self._soon()

    def ended(self, slot: HeldSlot, turn: Turn | None, how: TaskLost) -> None:
        """Take that the process of a slot has ended."""
        slot.generation.children.discard(slot.child)
        self._put_back(slot.turns)
        slot.turns.clear()
        if slot in self._slots:
            self._slots.remove(slot)
        if turn is not None:
            self._tell(turn, how)
        self._soon()

    def _soon(self) -> None:
        """Hand out what waits, once all that has come with it is here."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        self._is_due = False
        given: dict[HeldSlot, None] = {}
        while self._waiting:
            turn = self._waiting[0]
            slot = self._slot_for(turn.generation)
            if slot is None and not self._has_room:
                break
            self._waiting.popleft()
            if slot is None:
                starting = asyncio.get_running_loop().create_task(self._start(turn))
                self._starting[turn] = starting
            else:
                slot.add(turn)
                given[slot] = None
        for slot in given:
            slot.send()
        if self._watch is None and (self._waiting or given):
            self._watch = asyncio.get_running_loop().call_later(PATIENCE_S, self._look)

    def _slot_for(self, generation: Generation) -> HeldSlot | None:
        """Return an idle slot, else one in whose lane a task may wait if there is no other room."""
        own = [
            slot
            for slot in self._slots
            if slot.generation is generation and not slot.is_retiring and not slot.is_full
        ]
        idle = [slot for slot in own if not slot.turns]
        if idle:
            # The latest: its caches are warm, and the others can go.
            return max(idle, key=lambda slot: slot.since)
        if self._has_room or not self._pace.ahead:
            return None
        shortest = min(own, key=lambda slot: len(slot.turns), default=None)
        if shortest is None or len(shortest.turns) > self._pace.ahead:
            return None
        return shortest

    @property
    def _has_room(self) -> bool:
        """Whether one more can start, if need be in the place of an idle one."""
        return self.busy + len(self._starting) < self.limit

    def _look(self) -> None:
        """Take what waits behind a long task, give back what has waited too long, read outputs."""
        self._watch = None
        before = time.monotonic() - PATIENCE_S
        for slot in self._slots:
            if len(slot.turns) > 1 and slot.since < before:
                self._pace.slow_down()
                self._put_back(slot.take_back())
            slot.look()
        if self._waiting:
            self._hand_out()
        while self._waiting and self._waiting[0].since < before:
            self._pace.slow_down()
            self._tell(self._waiting.popleft(), NotBegun())
        busy = self._waiting or any(len(slot.turns) > 1 for slot in self._slots)
        if busy and self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(PATIENCE_S, self._look)

    def _put_back(self, turns: Sequence[Turn]) -> None:
        """Let them wait again, before all that came later."""
        self._waiting.extendleft(reversed(turns))

    async def _start(self, turn: Turn) -> None:
        try:
            slot = await self._new(turn)
        except BaseException as error:
            if turn in self._starting:
                self._tell(turn, error)
        else:
            if turn in self._starting:
                slot.add(turn)
                slot.send()
        finally:
            self._starting.pop(turn, None)
            self._soon()

    async def _new(self, turn: Turn) -> HeldSlot:
        generation = turn.generation
        template = await generation.ready(turn.assignment.output)
        self._make_room()
        self._names += 1
        child = template.slot(f"slot-{self._names}")
        slot = HeldSlot(child, generation, self._state_limit, self)
        self._slots.append(slot)
        generation.greet(child)
        return slot

    def _make_room(self) -> None:
        if len(self._slots) < self.limit:
            return
        idle = [slot for slot in self._slots if not slot.turns]
        if idle:
            oldest = min(idle, key=lambda slot: slot.since)
            self._slots.remove(oldest)
            oldest.child.kill()

    def _out(self, turn: Turn) -> HeldSlot | None:
        """Take a task from where it waits or starts; return the slot that runs it, if one does."""
        if turn in self._waiting:
            self._waiting.remove(turn)
            return None
        if (starting := self._starting.pop(turn, None)) is not None:
            starting.cancel()
            return None
        slot = next(slot for slot in self._slots if turn in slot.turns)
        back = slot.take_back()
        self._put_back([each for each in back if each is not turn])
        self._soon()
        return None if turn in back else slot

    def _let_go(self, slot: HeldSlot) -> None:
        """End a slot; what it hasn't begun is for others."""
        self._put_back(slot.take_back())
        if slot in self._slots:
            self._slots.remove(slot)
        slot.child.kill()

    def _tell(self, turn: Turn, result: Outcome | BaseException) -> None:
        del self._turns[turn.assignment]
        turn.generation.uses -= 1
        turn.generation.used_at = self._busy_at = time.monotonic()
        turn.told(result)
