"""How long to leave Redis alone between two looks at a deployment that moves.

A busy deployment writes thousands of events a second, and whoever waits for its end would look as
often. So one look tells when the next is worth it: after half of what is left at the pace of late,
which finds the end after a number of looks that grows with the logarithm of the tasks, and late by
little of what has passed.
"""

from __future__ import annotations

from typing import Final

LONGEST_S: Final = 0.05
_SHARE_OF_LEFT: Final = 0.5
_SHARE_OF_PASSED: Final = 0.02


class Rests:
    """Tells rests in seconds; `now` is by any clock that only goes on."""

    def __init__(self, now: float) -> None:
        self._began = self._looked = now
        self._left: int | None = None

    def after(self, left: int, now: float) -> float:
        """Return the rest after a look that found `left` tasks to do."""
        was, span = self._left, now - self._looked
        self._left, self._looked = left, now
        if was is not None and was > left > 0:
            rest = _SHARE_OF_LEFT * left * span / (was - left)
        else:
            rest = _SHARE_OF_PASSED * (now - self._began)
        return min(rest, LONGEST_S)
