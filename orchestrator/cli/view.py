"""What a person sees while a deployment moves: a live tree on a terminal, plain lines elsewhere.

Both views take the same events and write to standard error only. The live one draws in a thread of
its own, so that the seconds go on while nothing happens; it never asks Redis for anything.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, Self

from .board import Board, Row
from .output import STATE_COLOURS, duration, tell

if TYPE_CHECKING:
    from ..client.deployment import Deployment
    from ..store.events import Event

REFRESHES_PER_SECOND = 8
_BUSY = frozenset({"running", "failed", "unready"})
_TOLD = {
    "submitted": "submitted",
    "task.succeeded": "succeeded",
    "task.started": "running",
    "task.failed": "failed",
    "task.retried": "raised; it is tried again",
    "task.lost": "was lost; it is queued again",
    "task.skipped": "skipped",
    "task.cancelled": "cancelled",
    "replica.ready": "replica ready",
    "replica.unready": "replica unready",
    "replica.lost": "replica lost",
    "replica.stopped": "replica stopped",
    "deployment.ready": "ready",
    "deployment.degraded": "degraded",
    "deployment.failed": "failed",
    "deployment.cancelled": "cancelled",
    "deployment.stopping": "stopping",
    "deployment.stopped": "stopped",
}


class View(Protocol):
    """Something that shows a deployment between `__enter__` and `__exit__`."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *error: object) -> None:
        """Leave the last picture and stop."""

    def see(self, event: Event | None) -> None:
        """Show what an event tells; None when nothing has happened for a while."""


class PlainView:
    """A line for each event that matters, with the seconds since the submission."""

    def __init__(self, deployment: Deployment, *, verbose: bool = False) -> None:
        self._id = deployment.id
        self._verbose = verbose
        self._began: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def see(self, event: Event | None) -> None:
        """Write the event as a line."""
        if event is None or event.event not in _TOLD:
            return
        if event.kind == "prepare" and not self._verbose:
            return
        if self._began is None:
            self._began = event.at
        tell(line_of(event, self._id, max(0.0, event.at - self._began)))


class LiveView:
    """The tree, redrawn in place; messages of others scroll by above it."""

    def __init__(self, deployment: Deployment) -> None:
        from rich.console import Console
        from rich.live import Live

        self._deployment = deployment
        self._board = Board(deployment.status())
        # The drawing thread reads the board while the events change it.
        self._changing = Lock()
        # The clock of Redis and ours may differ; only spans are shown.
        self._skew = 0.0
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(
            get_renderable=self._picture,
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        # Without Redis the last picture has to do; the error itself is told by others.
        with contextlib.suppress(Exception):
            self._load()
        self._live.stop()

    def see(self, event: Event | None) -> None:
        """Take the event over; a quiet moment is used to make up for any that was missed."""
        if event is None:
            self._load()
            return
        self._skew = max(self._skew, event.at - time.time())
        with self._changing:
            self._board.see(event)

    def _load(self) -> None:
        status = self._deployment.status()
        with self._changing:
            self._board.load(status)

    def _picture(self) -> Any:
        from rich.text import Text

        height = max(3, self._console.size.height - 2)
        with self._changing:
            rows = self._board.rows(time.time() + self._skew)
        picture = Text(no_wrap=True, overflow="ellipsis")
        for line in picture_lines(self._deployment.id, self._board.state, rows, height):
            for word, style in line:
                picture.append(word, style)
            picture.append("\n")
        picture.rstrip()
        return picture


def view_of(deployment: Deployment, *, verbose: bool = False) -> View:
    """Return the view that fits standard error."""
    plain = not sys.stderr.isatty() or os.environ.get("TERM") == "dumb"
    return PlainView(deployment, verbose=verbose) if plain else LiveView(deployment)


def line_of(event: Event, deployment: str, seconds: float) -> str:
    """Return one event as a line of plain text; `seconds` is its time since the first."""
    told = _TOLD.get(event.event, event.event)
    words = [f"{seconds:8.2f}s", event.task or event.path or deployment, told]
    if event.worker:
        words.append(f"on {event.worker}")
    if event.attempt and event.attempt > 1:
        words.append(f"attempt {event.attempt}")
    line = " ".join(words)
    return f"{line}: {event.reason}" if event.reason else line


def picture_lines(
    title: str, state: str, rows: list[Row], height: int
) -> list[list[tuple[str, str]]]:
    """Return the lines of the live tree as (text, style) pairs, at most `height` of them."""
    shown, hidden = fit(rows, height - 1)
    label = max([len(row.label) for row in shown], default=0)
    word = max([len(_word(row)) for row in shown], default=0)
    lines = [[(title, "bold"), (f"  {state}", STATE_COLOURS.get(state, ""))]]
    for row in shown:
        seconds = "" if row.seconds is None else duration(row.seconds)
        lines.append(
            [
                (row.label.ljust(label + 2), ""),
                (_word(row).ljust(word + 2), STATE_COLOURS.get(row.state, "")),
                (seconds.rjust(7) + "  ", "dim"),
                (row.worker, "dim"),
            ]
        )
    if hidden:
        lines.append([(f"... {_counted(hidden)}", "dim")])
    return lines


def fit(rows: list[Row], height: int) -> tuple[list[Row], list[Row]]:
    """Split the rows into those that fit and those left out; what is busy stays in sight."""
    if len(rows) <= height:
        return rows, []
    busy = [index for index, row in enumerate(rows) if row.state in _BUSY]
    others = [index for index, row in enumerate(rows) if row.state not in _BUSY]
    kept = set((busy + others)[: max(1, height - 1)])
    shown = [row for index, row in enumerate(rows) if index in kept]
    return shown, [row for index, row in enumerate(rows) if index not in kept]


def _word(row: Row) -> str:
    return f"{row.state} {row.detail}".strip()


def _counted(rows: list[Row]) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        state = row.state or "without work"
        counts[state] = counts.get(state, 0) + 1
    return ", ".join(f"{number} {state}" for state, number in counts.items())
