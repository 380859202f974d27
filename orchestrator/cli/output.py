"""Where words go: data to standard output, everything else to standard error.

All printing of the command line passes here, and is cleaned of what would command a terminal. A
closed standard output becomes StdoutClosed, which ends the command quietly; colour is used on a
terminal only, and never against `NO_COLOR`.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..terminal import clean, clean_json

if TYPE_CHECKING:
    from collections.abc import Sequence

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document (streams: one a line)."
)
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show all there is to know.")

_COLOURS = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
    "dim": "2",
    "bold": "1",
}
STATE_COLOURS = {
    "ready": "green",
    "succeeded": "green",
    "running": "cyan",
    "progressing": "cyan",
    "starting": "cyan",
    "failed": "red",
    "lost": "red",
    "degraded": "yellow",
    "unready": "yellow",
    "cancelled": "yellow",
    "skipped": "yellow",
    "waiting": "dim",
    "pending": "dim",
    "queued": "blue",
    "stopped": "dim",
    "asleep": "dim",
    "stopping": "dim",
    "draining": "dim",
}


class StdoutClosed(Exception):  # an end, not an error
    """Whoever read standard output has gone; there is nobody left to print for."""


def prepare_streams() -> None:
    """Let no character end a command: what the terminal can't show is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def is_unread(error: BaseException) -> bool:
    """Whether it says that nobody reads: a pipe without a reader, a terminal that was closed."""
    return isinstance(error, OSError) and error.errno in {errno.EPIPE, errno.EIO}


def forget(stream: TextIO) -> None:
    """Send what is still buffered nowhere, so that the interpreter's own flush stays quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def write(text: str, *, end: str = "\n") -> None:
    """Write data to standard output at once. Raises StdoutClosed when nobody reads it."""
    try:
        sys.stdout.write(clean(text) + end)
        sys.stdout.flush()
    except OSError as error:
        if not is_unread(error):
            raise
        raise StdoutClosed from error


def emit_json(document: Any) -> None:
    """Write one JSON document: indented on a terminal, on one line elsewhere."""
    indent = 2 if sys.stdout.isatty() else None
    emit_line(document, indent=indent)


def emit_line(document: Any, *, indent: int | None = None) -> None:
    """Write one JSON document on one line, as an item of a stream."""
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    text = json.dumps(plain(document), ensure_ascii=ascii_only, allow_nan=False, indent=indent)
    write(clean_json(text))


def plain(value: Any) -> Any:
    """Return the value with JSON's own types only: arrays as lists, bytes as text, NaN as null.

    Raises TypeError that names the type that has no JSON form.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple, AbstractSet)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if callable(getattr(value, "tolist", None)):
        return plain(value.tolist())
    raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__} has no JSON form")


def tell(text: str) -> None:
    """Write a line for the person who watches, to standard error."""
    try:
        print(clean(text), file=sys.stderr, flush=True)
    except OSError as error:
        if not is_unread(error):
            raise
        # Nobody watches: that is no reason to stop working.
        forget(sys.stderr)


def warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a Python warning as one line; a stand-in for `warnings.showwarning`."""
    del category, filename, lineno, file, line
    tell(paint(f"warning: {message}", "yellow", sys.stderr))


def paint(text: str, colour: str | None, stream: TextIO) -> str:
    """Return the text in a colour if the stream is a terminal that shows colours."""
    if colour is None or not has_colour(stream):
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def has_colour(stream: TextIO) -> bool:
    """Whether colours may be written to the stream."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, least: Sequence[int] | None = None
) -> None:
    """Write rows in columns to standard output; a cell that is a state is coloured.

    On a terminal columns are shortened so that a row fits its width: column i to no less than
    `least[i]` cells (-1: not at all), the last columns first.
    """
    from .columns import pad, shorten_middle, widths

    if not rows:
        return
    lines = [list(header), *map(list, rows)]
    found = widths(lines, terminal_width(sys.stdout), least or [-1] * len(header))
    for number, line in enumerate(lines):
        fitting = zip(line, found, strict=True)
        texts = [pad(shorten_middle(cell, width), width) for cell, width in fitting]
        colours = ["dim" if number == 0 else STATE_COLOURS.get(cell) for cell in line]
        painted = [paint(c, k, sys.stdout) for c, k in zip(texts, colours, strict=True)]
        write("  ".join(painted).rstrip())


def terminal_width(stream: TextIO) -> int | None:
    """Return the cells in a line of the terminal behind a stream; None when it is none."""
    if not stream.isatty():
        return None
    import shutil

    return max(20, shutil.get_terminal_size().columns)


def terminal_height() -> int:
    """Return the lines of the terminal."""
    import shutil

    return shutil.get_terminal_size().lines


def write_lines(lines: Sequence[Sequence[tuple[str, str]]]) -> None:
    """Write lines of styled text to standard output."""
    for line in lines:
        painted = [paint(word, style or None, sys.stdout) for word, style in line]
        write("".join(painted).rstrip())


def duration(seconds: float | None) -> str:
    """Return a time span as a person reads it: `0.42s`, `12.3s`, `4m05s`, `3h07m`, `2d`."""
    if seconds is None:
        return "-"
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.2f}s"
    if seconds < 60:
        return f"{seconds:.1f}s"
    if seconds < 3600:
        return f"{int(seconds // 60)}m{int(seconds % 60):02d}s"
    if seconds < 2 * 86400:
        return f"{int(seconds // 3600)}h{int(seconds % 3600 // 60):02d}m"
    return f"{int(seconds // 86400)}d"
