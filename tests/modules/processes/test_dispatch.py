"""A task that was handed to a process is begun there or taken back, never both."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from rootward.modules.processes.dispatch import Dispatch, Work

if TYPE_CHECKING:
    from collections.abc import Callable


def with_both_ends(act: Callable[[Dispatch, Work], None]) -> None:
    async def main() -> None:
        lane = Dispatch(asyncio.get_running_loop(), lambda _message, _fds: None)
        # As a fork would have them.
        work = Work(*map(os.dup, lane.descriptors))
        lane.handed_over()
        act(lane, work)
        lane.drain()
        lane.close()
        work.close()

    asyncio.run(main())


def send(lane: Dispatch, *numbers: int) -> None:
    tasks = [{"number": number} for number in numbers]
    lane.send({"op": "run", "tasks": tasks, "states": [b"%d" % numbers[0]]})
    lane.allow(numbers)


def test_what_was_taken_back_never_begins_and_its_states_stay() -> None:
    def act(lane: Dispatch, work: Work) -> None:
        send(lane, 1, 2, 3)
        first = work.next()
        assert first is not None
        assert (first["number"], first["states"]) == (1, [b"1"])
        assert lane.take_back() == [2, 3]
        assert lane.take_back() == []
        send(lane, 4)
        send(lane, 5)
        fourth = work.next()
        assert fourth is not None
        assert (fourth["number"], fourth["states"]) == (4, [b"4"])

    with_both_ends(act)


def test_what_a_process_had_not_begun_is_there_after_its_end() -> None:
    def act(lane: Dispatch, work: Work) -> None:
        send(lane, 1, 2)
        assert work.next() is not None
        work.close()
        lane.drain()
        assert lane.take_back() == [2]
        assert lane.take_back() == []

    with_both_ends(act)


def test_the_end_of_the_owner_is_the_end_of_the_work() -> None:
    def act(lane: Dispatch, work: Work) -> None:
        lane.close()
        assert work.next() is None

    with_both_ends(act)
