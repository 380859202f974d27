"""Ctrl-C in `update()` and its kin: one sentence instead of a page of our own frames.

The exception is a KeyboardInterrupt, and none of a class of its own: the interpreter ends by the
signal (130 in a shell) for that very class only. What prints it, the interpreter's hook or IPython,
prints the sentence alone.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

# IPython asks an exception for this before it draws a traceback.
_RENDER = "_render_traceback_"


@contextmanager
def in_one_sentence(doing: str) -> Iterator[None]:
    """Let an interrupt within the block say where it came, unless it does already."""
    try:
        yield
    except KeyboardInterrupt as error:
        if hasattr(error, _RENDER):
            raise
        raise interrupted(f"interrupted in {doing}()") from error


def interrupted(message: str) -> KeyboardInterrupt:
    """Return the exception to raise in place of a KeyboardInterrupt."""
    global _before
    if sys.excepthook is not _print:
        _before, sys.excepthook = sys.excepthook, _print
    error = KeyboardInterrupt(message)
    setattr(error, _RENDER, partial(list, [message]))
    return error


_before = sys.excepthook


def _print(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not hasattr(error, _RENDER):
        _before(kind, error, traceback)
    elif sys.stderr is not None:
        print(error, file=sys.stderr)  # noqa: T201
