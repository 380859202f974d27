"""Tasks are claimed ahead only while they are known to be short."""

from __future__ import annotations

from worker.pace import SHORT_S, Pace


def test_nothing_is_claimed_ahead_before_tasks_are_known() -> None:
    pace = Pace()
    assert pace.ahead == 0
    pace.note(0.0)
    assert pace.ahead == 0


def test_short_tasks_are_claimed_ahead_and_long_ones_never() -> None:
    short, long = Pace(), Pace()
    for _ in range(10):
        short.note(SHORT_S / 4)
        long.note(SHORT_S * 4)
    assert short.ahead > 0
    assert long.ahead == 0


def test_one_long_task_among_short_ones_ends_the_claims_ahead() -> None:
    pace = Pace()
    for _ in range(10):
        pace.note(0.001)
    pace.note(60.0)
    assert pace.ahead == 0


def test_slowing_down_begins_to_learn_anew() -> None:
    pace = Pace()
    for _ in range(10):
        pace.note(0.001)
    pace.slow_down()
    assert pace.ahead == 0
    for _ in range(10):
        pace.note(0.001)
    assert pace.ahead > 0
