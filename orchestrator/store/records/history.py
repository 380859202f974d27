"""Output as it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .encoding import Hash


ERROR_FD = 3
"""In place of a file descriptor: an error that rootward has noted, such as a traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A piece of output of a task (`task`, `attempt`) or of a replica.

    `fd` is 1 or 2, or ERROR_FD for what it didn't print itself.
    """

    id: str
    at: float
    path: str | None
    fd: int
    text: str
    task: str | None = None
    attempt: int | None = None
    replica: str | None = None


def read_log(id_: bytes, found: Hash) -> LogEntry:
    """Read a piece of output from its stream entry."""
    text = {key.decode(): value.decode(errors="replace") for key, value in found.items()}
    attempt = text.get("attempt")
    return LogEntry(
        id=id_.decode(),
        at=int(id_.partition(b"-")[0]) / 1000,
        path=text.get("path") or None,
        fd=int(text["fd"]),
        text=text["text"],
        task=text.get("task"),
        attempt=int(attempt) if attempt else None,
        replica=text.get("replica"),
    )
