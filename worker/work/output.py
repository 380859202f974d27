"""What one task or replica printed: decoded, cut into what is stored next, and its last lines.

A task's newest progress goes along, as a piece of its own.

Pieces of both streams keep the order in which they were read. The size of what waits to be stored
is bounded: a task that prints faster than Redis takes it loses the middle, never the end, and the
gap says how much is missing.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import deque
from typing import TYPE_CHECKING, Any

from rootward.orchestrator.store.records.tasks import PROGRESS

if TYPE_CHECKING:
    from collections.abc import Mapping

from rootward.orchestrator.store.records import ERROR_FD

TAIL_LINES = 20
_PENDING_CHARACTERS = 1 << 20
_TAIL_CHARACTERS = 16 << 10
_LINE_CHARACTERS = 500
# A drawing that the next one of its line has painted over.
_REDRAWN = re.compile(r"\r(?:[^\r\n]*\r(?!\n))+")


class Output:
    """The output of one task or replica, as (descriptor, text) pieces."""

    def __init__(self) -> None:
        """Begin with nothing written."""
        # Most tasks print nothing.
        self._decoders: dict[int, codecs.IncrementalDecoder] = {}
        self._pending: deque[tuple[int, str]] = deque()
        self._size = 0
        self._dropped = 0
        self._tail = ""
        self._progress: Mapping[str, Any] | None = None

    def feed(self, fd: int, data: bytes) -> None:
        """Take what was read from descriptor 1 or 2."""
        decoder = self._decoders.get(fd)
        if decoder is None:
            decoder = self._decoders[fd] = codecs.getincrementaldecoder("utf-8")("replace")
        if text := decoder.decode(data):
            self.add(fd, text)

    def add(self, fd: int, text: str) -> None:
        """Take text that is already decoded, or with ERROR_FD a record of an error."""
        if fd != ERROR_FD:
            self._tail = (self._tail + text)[-_TAIL_CHARACTERS:]
        self._pending.append((fd, text))
        self._size += len(text)
        while self._size > _PENDING_CHARACTERS and len(self._pending) > 1:
            lost = len(self._pending.popleft()[1])
            self._size -= lost
            self._dropped += lost

    def report(self, progress: Mapping[str, Any]) -> None:
        """Take a task's progress, which replaces what wasn't taken yet."""
        self._progress = progress

    @property
    def is_waiting(self) -> bool:
        """Whether something hasn't been taken yet."""
        return bool(self._pending) or self._progress is not None

    def take(self) -> list[tuple[int, str]]:
        """Return what came since the last `take`, neighbours of one stream joined.

        Of a line that was drawn again and again (a progress bar) the last drawing is kept.
        """
        pieces: list[tuple[int, str]] = []
        if self._dropped:
            pieces.append((2, f"[{self._dropped} characters were printed too fast to be kept]\n"))
        for fd, text in self._pending:
            if pieces and pieces[-1][0] == fd != ERROR_FD:
                pieces[-1] = (fd, pieces[-1][1] + text)
            else:
                pieces.append((fd, text))
        self._pending.clear()
        self._size = self._dropped = 0
        pieces = [(fd, _REDRAWN.sub("\r", text) if "\r" in text else text) for fd, text in pieces]
        if self._progress is not None:
            pieces.append((PROGRESS, json.dumps(self._progress)))
            self._progress = None
        return pieces

    def tail(self) -> list[str]:
        """Return the last 20 lines of all that was printed."""
        lines = [line.rpartition("\r")[2] for line in self._tail.replace("\r\n", "\n").split("\n")]
        return [line[:_LINE_CHARACTERS] for line in lines[-TAIL_LINES - 1 :] if line][-TAIL_LINES:]
