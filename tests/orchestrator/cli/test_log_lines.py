"""From pieces of output to records: whole lines, of one source, each once."""

from __future__ import annotations

import pytest

from rootward.orchestrator.cli.log_lines import Record, last_lines, moment, records
from rootward.orchestrator.store.records import ERROR_FD, LogEntry

TRACE = "Traceback (most recent call last):\n  File 'a.py', line 1, in f\n    g()\nValueError: no\n"


def piece(text: str, *, task: str = "train:t/a", fd: int = 1, at: float = 1.0) -> LogEntry:
    return LogEntry(id="1-0", at=at, path=task.partition(":")[2], fd=fd, text=text, task=task)


def shown(*pieces: LogEntry) -> list[tuple[str, tuple[str, ...]]]:
    return [(record.path, record.lines) for record in records(pieces)]


def test_a_line_that_comes_in_pieces_is_one() -> None:
    """However it was cut, and with other sources between."""
    assert shown(
        piece("one\ntw"), piece("other\n", task="train:t/b"), piece("o\nthree"), piece(" four")
    ) == [
        ("t/a", ("one",)),
        ("t/b", ("other",)),
        ("t/a", ("two",)),
        ("t/a", ("three four",)),
    ]


def test_a_progress_bar_is_one_line() -> None:
    """The last drawing of it, also when each came in a piece of its own."""
    assert shown(*(piece(f"\r{n}%") for n in range(100)), piece("\nend\r\n")) == [
        ("t/a", ("99%",)),
        ("t/a", ("end",)),
    ]


def test_a_traceback_is_one_record_with_the_line_before_it() -> None:
    """Indented lines belong to the line before them, too."""
    found = list(records([piece("ready\nERROR:app:it broke\n" + TRACE + "next\n  more\nlast\n")]))
    assert [record.lines[0] for record in found] == ["ready", "ERROR:app:it broke", "next", "last"]
    assert [record.is_error for record in found] == [False, True, False, False]
    assert found[1].lines[-1] == "ValueError: no"
    assert found[2].lines == ("next", "  more")


def test_what_rootward_notes_is_an_error() -> None:
    """Whatever its words."""
    (record,) = records([piece("this replica has ended: SIGKILL\n", fd=ERROR_FD)])
    assert record.is_error


def line(text: str, count: int = 1) -> Record:
    return Record(at=0.0, source="s", path="p", is_error=False, lines=(text,) * count)


@pytest.mark.parametrize(
    ("count", "expected"), [(0, []), (1, [1]), (3, [2, 1]), (4, [3, 1]), (9, [1, 3, 1])]
)
def test_the_last_lines_are_counted_in_lines(count: int, expected: list[int]) -> None:
    """The first record is cut to fit."""
    found = last_lines([line("a"), line("b", 3), line("c")], count)
    assert [len(record.lines) for record in found] == expected


def test_a_moment_is_a_span_a_date_or_seconds() -> None:
    """What is neither is an error."""
    assert moment("90s", 1000.0) == 910.0
    assert moment("1h30m", 10_000.0) == 4600.0
    assert moment("1000000.5", 0.0) == 1000000.5
    assert moment("1970-01-02T00:00:00+00:00", 0.0) == 86400.0
    for wrong in ("yesterday", "10x", "", "10m later"):
        with pytest.raises(ValueError, match=r"isoformat"):
            moment(wrong, 0.0)
