"""What calls raise goes into the log: with its traceback, and without a flood."""

from __future__ import annotations

from rootward.worker.serving.raised import MOST_A_PERIOD, PERIOD_S, RaisedErrors


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def failing(message: str = "that is no number") -> ValueError:
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def other() -> KeyError:
    try:
        raise KeyError("x")
    except KeyError as error:
        return error


def test_an_error_is_told_with_its_traceback_and_line() -> None:
    told: list[str] = []
    RaisedErrors(told.append).note(failing())
    (text,) = told
    assert text.startswith("forward raised ValueError: that is no number\nTraceback (most recent")
    assert "in failing" in text
    assert text.endswith("ValueError: that is no number\n")


def test_a_flood_of_one_kind_is_counted_and_another_kind_still_told() -> None:
    """How many are missing is said when the period is over, with or without another one."""
    told: list[str] = []
    clock = Clock()
    raised = RaisedErrors(told.append, clock)
    for number in range(100):
        raised.note(failing(str(number)))
    raised.note(other())
    assert len(told) == MOST_A_PERIOD + 1
    raised.sum_up()
    assert len(told) == MOST_A_PERIOD + 1
    clock.now = PERIOD_S + 1
    raised.sum_up()
    assert f"{100 - MOST_A_PERIOD} more ValueError from" in told[-1]
    raised.sum_up()
    assert len(told) == MOST_A_PERIOD + 2


def test_the_next_one_after_the_period_says_how_many_are_missing() -> None:
    told: list[str] = []
    clock = Clock()
    raised = RaisedErrors(told.append, clock)
    for _ in range(MOST_A_PERIOD + 3):
        raised.note(failing())
    clock.now = PERIOD_S + 1
    raised.note(failing())
    assert "3 more ValueError" in told[-2]
    assert "Traceback" in told[-1]


def test_a_caller_that_has_gone_is_no_error() -> None:
    told: list[str] = []
    RaisedErrors(told.append).note(GeneratorExit())
    assert told == []
