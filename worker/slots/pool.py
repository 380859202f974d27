"""The owner's side of the slots: children that run tasks, one at a time each, never user code here.

At most `limit` of them have tasks, over all generations. Tasks beyond that wait: in a slot's lane
while tasks are short, so that it goes on without asking, else here; what waits too long goes back
to its queue, and nothing waits behind a task that turns out long. No slot is started for tasks
that are over sooner than it would be there. An idle one is kept warm for the next task of its
generation; of more than `limit` in all, those that were idle longest go, once what is being started
has started. A child that ends under its task, by whatever, is seen at once. One that has grown much
or run many tasks is replaced between two tasks. A task that holds resources has a process of its
own, which ends with it: what it holds is free when that is gone.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rootward.modules.processes.scarcity import NoProcess

from ..work.assignment import Assignment, Leaving, NotBegun, Outcome, TaskLost
from .prefetch import PATIENCE_S, START_S, Paces, Prefetch
from .slot_handle import SlotHandle, Ticket

if TYPE_CHECKING:
    from ..work.generation import Generation

Say = Callable[[Mapping[str, Any]], None]
OnShare = Callable[[Assignment, Mapping[str, Any], Say], None]

_REST_S = 0.05
_TRIM_S = 0.1
_DEEPEST = 16
_TOLD_TO_END = "it was told to end before it began"


class SlotPool:
    """The pool of at most `limit` slots."""

    def __init__(self, limit: int, state_limit: int) -> None:
        """Start none yet; `state_limit` is the largest state of one module in bytes."""
        self.limit = limit
        self._state_limit = state_limit
        self._slots: list[SlotHandle] = []
        self._names = 0
        self._turns: dict[Assignment, Ticket] = {}
        self._waiting: deque[Ticket] = deque()
        self._starting: dict[SlotHandle, asyncio.Task[None]] = {}
        self._paces = Paces()
        self._pace = Prefetch()
        self._is_due = False
        self._busy_at = 0.0
        self._is_stopping = False
        self.on_share: OnShare | None = None
        self._watch: asyncio.TimerHandle | None = None

    @property
    def ahead(self) -> int:
        """How many tasks may be claimed beyond the free slots."""
        if not self._turns and time.monotonic() - self._busy_at > _REST_S:
            # What comes next may be of another kind.
            self._pace = Prefetch()
        return self._pace.ahead * self.limit

    @property
    def busy(self) -> int:
        """How many have a task that keeps them busy: not one that waits for its shards."""
        return sum(bool(slot.turns) and not slot.is_lent for slot in self._slots)

    @property
    def pids(self) -> list[int]:
        """The process of each slot."""
        return [slot.child.pid for slot in self._slots if slot.child and slot.child.pid is not None]

    def run(
        self,
        assignment: Assignment,
        generation: Generation,
        told: Callable[[Outcome | BaseException], None],
    ) -> None:
        """Run one task in a slot of its generation; `told` is called later, once.

        It gets the outcome or an error: what the load of the tree raised, TaskLost when the child
        ended under it, NotBegun when no slot was free for it soon, NoProcess or OSError when the
        machine had no room for another.
        """
        generation.uses += 1
        now = time.monotonic()
        turn = Ticket(
            assignment=assignment,
            generation=generation,
            told=told,
            since=now,
            holds=assignment.holding is not None,
        )
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
            slot.kill()
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

    def share(self, slot: SlotHandle, assignment: Assignment, wish: Mapping[str, Any]) -> None:
        """Take what a running task wants of the store."""
        if self.on_share is None:
            slot.say({"slots": 0, "kept": False})
        else:
            self.on_share(assignment, wish, slot.say)

    def lend(self, assignment: Assignment) -> bool:
        """Let others run in the place of a task that waits; False when as many as may do already.

        A process waits beside each of them.
        """
        turn = self._turns.get(assignment)
        slot = next((each for each in self._slots if turn in each.turns), None)
        if slot is not None and slot.holding is not None:
            # Shards would need as much again, beside what their evaluation holds while it waits.
            return False
        if turn is None or slot is None or sum(each.is_lent for each in self._slots) >= self.limit:
            return False
        slot.is_lent = True
        self._put_back(slot.take_back())
        self._soon()
        return True

    def announce_stop(self) -> None:
        """Let every task that runs, or is about to, know that this worker is leaving."""
        self._is_stopping = True
        for slot in self._slots:
            slot.announce_stop()

    def kill_all(self) -> None:
        """End every slot, busy or idle."""
        for slot in list(self._slots):
            slot.kill()

    def done(
        self, slot: SlotHandle, turn: Ticket, outcome: Outcome | Leaving, took_s: float
    ) -> None:
        """Take that the first task of a slot has ended."""
        self._pace = self._paces.of(turn.generation.name, turn.assignment.claim.kind)
        self._pace.note(took_s)
        if slot.holding is not None or slot.is_worn:
            slot.is_retiring = True
            self._put_back(slot.take_back())
        if slot.is_spoiled or (slot.is_retiring and not slot.turns):
            self._let_go(slot)
        self._tell(turn, outcome)
        if self._waiting:
            self._soon()

    def ended(self, slot: SlotHandle, turn: Ticket | None, how: TaskLost | NoProcess) -> None:
        """Take that the process of a slot has ended."""
        assert slot.child is not None
        slot.end_holding()
        slot.generation.children.discard(slot.child)
        left = [*slot.turns]
        slot.turns.clear()
        if slot in self._slots:
            self._slots.remove(slot)
        if turn is not None:
            self._tell(turn, how)
        if isinstance(how, NoProcess):
            # Another slot for them would be refused, too.
            for each in left:
                self._tell(each, how)
        else:
            self._put_back(left)
        self._soon()

    def _soon(self) -> None:
        """Hand out what waits, once all that has come with it is here."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        self._is_due = False
        given: dict[SlotHandle, None] = {}
        while self._waiting:
            turn = self._waiting[0]
            slot = None if turn.holds else self._slot_for(turn)
            if slot is None:
                if not self._has_room:
                    break
                slot = self._start(turn.generation)
            self._waiting.popleft()
            slot.add(turn)
            slot.is_retiring |= turn.holds
            given[slot] = None
        for slot in given:
            slot.send()
        if self._watch is None and (self._waiting or given):
            self._watch = asyncio.get_running_loop().call_later(PATIENCE_S, self._look)

    def _slot_for(self, turn: Ticket) -> SlotHandle | None:
        """Return an idle slot, else one in whose lane a task may wait; None to start another."""
        own = [
            slot
            for slot in self._slots
            if slot.generation is turn.generation
            and not (slot.is_retiring or slot.is_full or slot.is_lent)
            and slot.is_fit(turn.assignment)
        ]
        pace = self._pace_of(turn)
        # The latest: its caches are warm, and the others can go.
        idle = max((s for s in own if not s.turns), key=lambda s: s.since, default=None)
        if idle is not None and not pace.is_light:
            return idle
        return self._lane_for(pace, [slot for slot in own if slot.turns]) or idle

    def _lane_for(self, pace: Prefetch, busy: list[SlotHandle]) -> SlotHandle | None:
        """Return the one of these slots in whose lane a task soon has its turn, if there is one."""
        if not pace.ahead:
            return None
        late = time.monotonic() - PATIENCE_S
        if self._has_room:
            busy = [slot for slot in busy if slot.child is None or slot.since > late]
        shortest = min(busy, key=lambda slot: len(slot.turns), default=None)
        if shortest is None:
            return None
        count = len(shortest.turns)
        is_soon = count < _DEEPEST and count * pace.average_s < START_S
        return shortest if is_soon or (count <= pace.ahead and not self._has_room) else None

    def _pace_of(self, turn: Ticket) -> Prefetch:
        return self._paces.of(turn.generation.name, turn.assignment.claim.kind)

    @property
    def _has_room(self) -> bool:
        """Whether one more may have tasks, if need be in the place of an idle one."""
        return self.busy < self.limit

    def _look(self) -> None:
        """Take what waits behind a long task, give back what has waited too long, read outputs."""
        self._watch = None
        before, is_busy = time.monotonic() - PATIENCE_S, False
        for slot in self._slots:
            if len(slot.turns) > 1 and slot.since < before and slot.child is not None:
                self._pace_of(slot.turns[0]).slow_down()
                self._put_back(slot.take_back())
            is_busy |= slot.look(before)
        if self._waiting:
            self._hand_out()
        while self._waiting and self._waiting[0].since < before:
            turn = self._waiting.popleft()
            self._pace_of(turn).slow_down()
            self._tell(turn, NotBegun())
        if (is_busy or self._waiting) and self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(PATIENCE_S, self._look)

    def _put_back(self, turns: Sequence[Ticket]) -> None:
        """Let them wait again, before all that came later."""
        for turn in reversed(turns):
            if turn.holds and turn.assignment.holding is None:
                # What it was claimed with ends with the process that had it.
                self._tell(turn, NotBegun())
            else:
                self._waiting.appendleft(turn)

    def _start(self, generation: Generation) -> SlotHandle:
        """Return a slot that is being started; it gets its tasks when it is there."""
        slot = SlotHandle(generation, self._state_limit, self)
        self._slots.append(slot)
        self._starting[slot] = asyncio.get_running_loop().create_task(self._bring_up(slot))
        return slot

    async def _bring_up(self, slot: SlotHandle) -> None:
        generation = slot.generation
        try:
            env = slot.take_holding()
            template = await generation.ready(slot.turns[0].assignment.output, env)
            self._names += 1
            child = template.slot(f"slot-{self._names}")
            generation.greet(child)
            slot.attach(child)
            if self._is_stopping:
                slot.announce_stop()
        except BaseException as error:
            if slot in self._starting:
                self._slots.remove(slot)
                for turn in slot.turns:
                    self._tell(turn, error)
        finally:
            if slot.child is None:
                slot.end_holding()
            self._starting.pop(slot, None)
            self._soon()
            if len(self._slots) > self.limit:
                # Not now, when what was started has to begin.
                asyncio.get_running_loop().call_later(_TRIM_S, self._trim)

    def _trim(self) -> None:
        """End the slots that were idle longest, until no more are left than there may be."""
        idle = sorted((slot for slot in self._slots if not slot.turns), key=lambda s: s.since)
        for slot in idle[: max(0, len(self._slots) - self.limit)]:
            self._slots.remove(slot)
            slot.kill()

    def _out(self, turn: Ticket) -> SlotHandle | None:
        """Take a task from where it waits or starts; return the slot that runs it, if one does."""
        if turn in self._waiting:
            self._waiting.remove(turn)
            return None
        slot = next(slot for slot in self._slots if turn in slot.turns)
        if slot.child is None:
            slot.turns.remove(turn)
            if not slot.turns:
                self._slots.remove(slot)
                self._starting.pop(slot).cancel()
            return None
        back = slot.take_back()
        self._put_back([each for each in back if each is not turn])
        self._soon()
        return None if turn in back else slot

    def _let_go(self, slot: SlotHandle) -> None:
        """End a slot; what it hasn't begun is for others."""
        self._put_back(slot.take_back())
        if slot in self._slots:
            self._slots.remove(slot)
        slot.kill()

    def _tell(self, turn: Ticket, result: Outcome | BaseException) -> None:
        del self._turns[turn.assignment]
        turn.generation.uses -= 1
        turn.generation.used_at = self._busy_at = time.monotonic()
        turn.told(result)
