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

from .board import Board
from .output import tell
from .picture import as_text, board_lines

if TYPE_CHECKING:
    from ..client.deployment import Deployment
    from ..store.records.events import Event

REFRESHES_PER_SECOND = 8
RELOAD_S = 2.0
MOST_LINES = 100
"""Tasks of the largest deployment of which each step is a line of its own in a pipe."""
_WRONG = frozenset({"task.failed", "task.retried", "task.lost", "replica.lost", "replica.unready"})
_TOLD = {
    "submitted": "submitted",
    "task.succeeded": "succeeded",
    "task.started": "running",
    "task.failed": "failed",
    "task.retried": "raised; it is tried again",
    "task.lost": "was lost; it is queued again",
    "task.returned": "goes back to its queue",
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
    """A line for each event that matters, with the seconds since the submission.

    Of a large deployment only what went wrong has lines of its own; how far it has come is said at
    each tenth of the way. `verbose` tells all.
    """

    def __init__(self, deployment: Deployment, *, verbose: bool = False) -> None:
        self._deployment = deployment
        self._verbose = verbose
        self._began: float | None = None
        self._board: Board | None = None
        self._tenth = 0

    def __enter__(self) -> Self:
        if not self._verbose:
            board = Board(self._deployment.status())
            if board.counts[1] > MOST_LINES:
                self._board, self._tenth = board, _tenth(board)
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
        seconds = max(0.0, event.at - self._began)
        if self._board is None:
            tell(line_of(event, self._deployment.id, seconds))
        else:
            self._summarise(self._board, event, seconds)

    def _summarise(self, board: Board, event: Event, seconds: float) -> None:
        board.see(event)
        if event.event in _WRONG or event.event.startswith(("submitted", "deployment.")):
            tell(line_of(event, self._deployment.id, seconds))
        if _tenth(board) > self._tenth:
            self._tenth = _tenth(board)
            tell(f"{seconds:8.2f}s {self._deployment.id} {_counts_text(board)}")


class LiveView:
    """The tree, redrawn in place; messages of others scroll by above it."""

    def __init__(self, deployment: Deployment) -> None:
        from rich.console import Console
        from rich.live import Live

        self._deployment = deployment
        self._board = Board(deployment.status())
        # The drawing thread reads the board while the events change it.
        self._changing = Lock()
        self._loaded_at = time.monotonic()
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
        """Take the event over; now and then all is read, as a task is queued without an event."""
        if event is None or time.monotonic() - self._loaded_at > RELOAD_S:
            self._load()
        if event is None:
            return
        self._skew = max(self._skew, event.at - time.time())
        with self._changing:
            self._board.see(event)

    def _load(self) -> None:
        status = self._deployment.status()
        self._loaded_at = time.monotonic()
        with self._changing:
            self._board.load(status)

    def _picture(self) -> Any:
        size = self._console.size
        with self._changing:
            lines = board_lines(
                self._deployment.id,
                self._board,
                time.time() + self._skew,
                width=size.width,
                height=max(3, size.height - 2),
            )
        return as_text(lines)


def view_of(deployment: Deployment, *, verbose: bool = False) -> View:
    """Return the view that fits standard error."""
    plain = not sys.stderr.isatty() or os.environ.get("TERM") == "dumb"
    return PlainView(deployment, verbose=verbose) if plain else LiveView(deployment)


def line_of(event: Event, deployment: str, seconds: float) -> str:
    """Return one event as a line of plain text; `seconds` is its time since the first."""
    told = _TOLD.get(event.event, event.event)
    if event.event == "scaled":
        told = f"{event.before} -> {event.wanted} replicas are wanted"
    words = [f"{seconds:8.2f}s", event.task or event.path or deployment, told]
    if event.worker:
        words.append(f"on {event.worker}")
    if event.attempt and event.attempt > 1:
        words.append(f"attempt {event.attempt}")
    line = " ".join(words)
    return f"{line}: {event.reason}" if event.reason else line


def _tenth(board: Board) -> int:
    done, total = board.counts
    return 10 * done // max(1, total)


def _counts_text(board: Board) -> str:
    done, total = board.counts
    states = board.states
    others = {name: states[name] for name in ("running", "queued", "failed") if states[name]}
    return ", ".join([f"{done}/{total} done", *(f"{n} {name}" for name, n in others.items())])
