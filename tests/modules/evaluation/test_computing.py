"""Items are computed side by side as far as that helps, and each one that was begun is ended."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from rootward.modules.evaluation.computing import MOST_AT_ONCE, Computation


def test_items_that_wait_are_computed_at_once_up_to_a_limit() -> None:
    gate, begun = threading.Event(), threading.Semaphore(0)

    def wait(item: int) -> int:
        begun.release()
        assert gate.wait(30)
        return item

    work = Computation(wait, enumerate(range(100)))
    running = threading.Thread(target=work.run)
    running.start()
    for _ in range(MOST_AT_ONCE):
        assert begun.acquire(timeout=30)
    assert work.width == MOST_AT_ONCE
    gate.set()
    running.join(30)
    assert work.results == {index: index for index in range(100)}


def test_what_has_begun_at_the_end_of_the_time_is_ended_and_nothing_more_begun() -> None:
    gate = threading.Event()

    def wait(item: int) -> int:
        assert gate.wait(30)
        return item

    work = Computation(wait, enumerate(range(1000)))
    assert not work.run(time.monotonic() + 0.05)
    gate.set()
    work.join()
    assert work.begun < 1000
    assert sorted(work.results) == list(range(work.begun))
    work.reopen()
    assert work.run()
    assert len(work.results) == 1000


def test_failures_are_named_and_may_end_it() -> None:
    def fail(item: int) -> float:
        return 1 / item

    work = Computation(fail, enumerate([1, 0, 1, 0]))
    assert work.run()
    assert sorted(work.failures) == [1, 3]
    assert work.failures[3].__notes__ == ["evaluating item 3: 0"]
    ended = Computation(fail, enumerate([0] * 1000), stops_at_failure=True)
    ended.run()
    assert ended.done <= MOST_AT_ONCE


def test_what_reading_raises_is_raised() -> None:
    def items() -> Any:
        yield 0, 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        Computation(str, items()).run()
