"""What is printed is kept in order, whole where it fits, and with its end where it doesn't."""

from __future__ import annotations

from rootward.orchestrator.store.records import ERROR_FD
from rootward.worker.work.output import Output


def test_neighbours_of_one_stream_are_joined_and_characters_are_never_cut() -> None:
    output = Output()
    euro = "€".encode()
    output.feed(1, b"one " + euro[:1])
    output.feed(1, euro[1:] + b"\n")
    output.feed(2, b"oh\n")
    assert output.take() == [(1, "one €\n"), (2, "oh\n")]
    assert output.take() == []


def test_the_last_twenty_lines_are_kept_also_after_they_were_taken() -> None:
    output = Output()
    for number in range(50):
        output.feed(1 + number % 2, f"line {number}\n".encode())
        output.take()
    assert output.tail() == [f"line {number}" for number in range(30, 50)]


def test_what_comes_too_fast_loses_its_beginning_and_says_how_much() -> None:
    output = Output()
    for _ in range(40):
        output.feed(1, b"x" * (1 << 16))
    (gap_fd, gap), (_, text) = output.take()
    assert (gap_fd, gap[-1]) == (2, "\n")
    assert str(40 * (1 << 16) - len(text)) in gap
    assert len(text) <= 1 << 20


def test_of_a_progress_bar_the_last_drawing_is_kept() -> None:
    """In what is stored, and in the last lines; other carriage returns stay."""
    output = Output()
    for percent in range(100):
        output.feed(2, f"\r{percent}% |####|".encode())
    output.feed(2, b"\ndone\r\n")
    assert output.take() == [(2, "\r99% |####|\ndone\r\n")]
    assert output.tail() == ["99% |####|", "done"]


def test_records_of_errors_stay_whole_and_are_no_output() -> None:
    """They aren't joined, and the last lines are what was printed."""
    output = Output()
    output.add(ERROR_FD, "first\n")
    output.add(ERROR_FD, "second\n")
    assert output.take() == [(ERROR_FD, "first\n"), (ERROR_FD, "second\n")]
    assert output.tail() == []
