"""From pieces of output to lines: whose each is, whole, and once.

Pieces come as they were read from tasks and replicas, cut anywhere. Here the lines of one source
are put together, of a line that was drawn again and again the last drawing is kept, and records of
several lines (a traceback) stay together, however many write at the same time.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ..store.records import ERROR_FD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..store.records import LogEntry

TRACEBACK = "Traceback (most recent call last):"
_CONTINUES = re.compile(r"\s|Traceback \(most|The above exception|During handling|\+ |\| |$")
_NOTED = re.compile(r"\b(ERROR|CRITICAL|FATAL)\b")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One or more whole lines of one source that belong together; `at` is Unix seconds."""

    at: float
    source: str
    path: str
    is_error: bool
    lines: tuple[str, ...]


class Assembler:
    """Puts the lines of several sources together."""

    def __init__(self) -> None:
        self._rest: dict[tuple[str, int], tuple[LogEntry, str]] = {}

    def feed(self, entry: LogEntry) -> Iterator[Record]:
        """Yield the records that a piece completes."""
        key = (source_of(entry), entry.fd)
        first, rest = self._rest.pop(key, (entry, ""))
        *whole, rest = (rest + entry.text).replace("\r\n", "\n").split("\n")
        if whole:
            yield from _records(first, whole)
            first = entry
        if rest:
            self._rest[key] = (first, rest)

    def finish(self) -> Iterator[Record]:
        """Yield what was written without an end of line."""
        left, self._rest = self._rest, {}
        for entry, rest in left.values():
            yield from _records(entry, [rest])


def records(entries: Iterable[LogEntry]) -> Iterator[Record]:
    """Yield the records of all entries."""
    assembler = Assembler()
    for entry in entries:
        yield from assembler.feed(entry)
    yield from assembler.finish()


def last_lines(found: Iterable[Record], count: int) -> list[Record]:
    """Return the records that hold the last `count` lines, the first of them cut to fit."""
    kept: deque[Record] = deque()
    held = 0
    for record in found:
        kept.append(record)
        held += len(record.lines)
        while kept and held - len(kept[0].lines) >= count:
            held -= len(kept.popleft().lines)
    if kept and held > count:
        first = kept.popleft()
        lines = first.lines[held - count :]
        kept.appendleft(
            Record(
                at=first.at,
                source=first.source,
                path=first.path,
                is_error=first.is_error,
                lines=lines,
            )
        )
    return list(kept) if count else []


def source_of(entry: LogEntry) -> str:
    """Return whose output it is: a replica's id, a task's id, or a module's path."""
    return entry.replica or entry.task or entry.path or ""


def moment(text: str, now: float) -> float:
    """Return the time (Unix seconds) of `10m`, `2h30m`, a date as in ISO 8601, or Unix seconds.

    A span counts back from `now`; a date without a zone is local. Raises ValueError.
    """
    text = text.strip()
    spans = _SPAN.findall(text)
    if spans and "".join(number + unit for number, unit in spans) == text:
        return now - sum(float(number) * _SECONDS[unit] for number, unit in spans)
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).astimezone().timestamp()


def _records(entry: LogEntry, lines: list[str]) -> Iterator[Record]:
    """Group lines: what is indented, or goes on with a traceback, belongs to the line before."""
    drawn = [line.rpartition("\r")[2] if "\r" in line else line for line in lines]
    if entry.fd == ERROR_FD:
        yield _record(entry, drawn, is_error=True)
        return
    group: list[str] = []
    in_traceback = False
    for line in drawn:
        continues = bool(group) and (in_traceback or bool(line[:1].isspace()))
        if line == TRACEBACK and group and not in_traceback:
            # The line before says what was being done.
            continues = True
        if not continues and group:
            yield _record(entry, group, is_error=_is_error(group))
            group = []
        group.append(line)
        in_traceback = line == TRACEBACK or (in_traceback and bool(_CONTINUES.match(line)))
    if group:
        yield _record(entry, group, is_error=_is_error(group))


def _is_error(lines: list[str]) -> bool:
    return TRACEBACK in lines or bool(_NOTED.search(lines[0]))


def _record(entry: LogEntry, lines: list[str], *, is_error: bool) -> Record:
    return Record(
        at=entry.at,
        source=source_of(entry),
        path=entry.path or "",
        is_error=is_error,
        lines=tuple(lines),
    )
