"""What a program that waits for a deployment shows meanwhile: one line of progress.

On a terminal it is redrawn in place, in a notebook it is one display that is replaced, and in a
pipe a line comes now and then. It is fed with counts and draws nothing by itself; what tasks print
goes on above it.
"""

from __future__ import annotations

import html
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from rich.live import Live

PLAIN_EVERY_S = 10.0
REFRESH_S = 0.25
_BAR_CELLS = 24


class ProgressLine(Protocol):
    """Shows how far one deployment has come, between `__enter__` and `__exit__`."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *error: object) -> None:
        """Take the line away, or leave its last state."""

    def show(self, state: str, done: int, total: int) -> None:
        """Show that `done` of `total` tasks have ended."""


class _Line:
    """What all of them share: the deployment's name and the time since the beginning."""

    def __init__(self, id_: str) -> None:
        self._id = id_
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, state: str, done: int, total: int) -> None:
        """Show nothing."""

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def _text(self, state: str, done: int, total: int) -> str:
        return f"{self._id} {state} {done}/{total} done {self._elapsed_s:.1f} s"


class NoLine(_Line):
    """Shows nothing at all."""


class PlainLine(_Line):
    """Writes a line to standard error every ten seconds, so nothing about what is over sooner."""

    def __init__(self, id_: str) -> None:
        super().__init__(id_)
        self._said_at = self._began

    def show(self, state: str, done: int, total: int) -> None:
        """Write a line if the last one is old enough."""
        if time.monotonic() - self._said_at >= PLAIN_EVERY_S:
            self._said_at = time.monotonic()
            sys.stderr.write(self._text(state, done, total) + "\n")
            sys.stderr.flush()


class TerminalLine(_Line):
    """Redraws one line at the bottom; what is printed meanwhile appears above it."""

    def __init__(self, id_: str) -> None:
        super().__init__(id_)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(file=sys.stderr, highlight=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        assert self._live is not None
        self._live.stop()

    def show(self, state: str, done: int, total: int) -> None:
        """Redraw it."""
        from rich.text import Text

        assert self._live is not None
        full = _BAR_CELLS * done // max(1, total)
        bar = "━" * full + "─" * (_BAR_CELLS - full)
        text = Text(f"{self._text(state, done, total)} {bar}", no_wrap=True, overflow="ellipsis")
        self._live.update(text, refresh=True)


class NotebookLine(_Line):
    """Shows one display below the cell and replaces it; no widgets and no scripts."""

    def __init__(self, id_: str) -> None:
        super().__init__(id_)
        self._handle: Any = None

    def show(self, state: str, done: int, total: int) -> None:
        """Replace what is displayed."""
        import importlib

        display = importlib.import_module("IPython.display")
        shown = display.HTML(progress_html(self._text(state, done, total), done, total))
        if self._handle is None:
            self._handle = display.display(shown, display_id=True)
        else:
            self._handle.update(shown)


def progress_html(text: str, done: int, total: int) -> str:
    """Return a bar and a text as HTML."""
    return (
        f'<div style="font-family:monospace"><progress value="{done}" max="{max(1, total)}">'
        f"</progress> {html.escape(text)}</div>"
    )


def progress_line(id_: str, *, wanted: bool = True) -> ProgressLine:
    """Return the line that fits where the program runs; one that shows nothing unless wanted."""
    if not wanted:
        return NoLine(id_)
    if is_notebook():
        return NotebookLine(id_)
    return TerminalLine(id_) if sys.stderr.isatty() else PlainLine(id_)


def is_notebook() -> bool:
    """Whether this program is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")
