"""A barrier within the branches of a parallel flow: nobody passes before all who run have come.

`parallel(pipeline(f, barrier, g), pipeline(h, barrier, k))` runs `g` and `k` when `f` and `h` have
ended. A branch that has ended, also by an exception, and one that never comes here keep nobody
waiting for ever: what is counted are the branches that run at once.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar

from .packages import one_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Meeting:
    """Where the branches of one parallel call wait for each other; `limit` run at once."""

    def __init__(self, branches: int, limit: int) -> None:
        self._changed = threading.Condition()
        self._unfinished = branches
        self._limit = limit
        self._waiting = 0
        self._round = 0

    def wait(self) -> None:
        """Return when every branch that runs is here."""
        with self._changed:
            self._waiting += 1
            here = self._round
            self._release()
            while self._round == here:
                self._changed.wait()

    def leave(self) -> None:
        """Note that a branch has ended."""
        with self._changed:
            self._unfinished -= 1
            self._release()

    def _release(self) -> None:
        if self._waiting and self._waiting >= min(self._limit, self._unfinished):
            self._waiting = 0
            self._round += 1
            self._changed.notify_all()


meeting: ContextVar[Meeting | None] = ContextVar("meeting", default=None)
"""Where the branch that runs here meets the others."""


def barrier(*args: Any) -> Any:
    """Wait for the other branches of the innermost parallel flow, and return what came."""
    here = meeting.get()
    if here is not None:
        here.wait()
    return one_value(args)
