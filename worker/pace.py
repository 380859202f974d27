"""How far ahead of its free slots an agent claims, by how long its tasks have taken lately.

Tasks of a few milliseconds would wait longer for their claim than they run, so some of them are
claimed while the slots are still busy. Long tasks never are: another worker may be idle. It only
measures and says a number; the slots give back what waits too long all the same.
"""

from __future__ import annotations

SHORT_S = 0.008
"""Seconds that a task may take, on average, to count as short."""

PATIENCE_S = 0.03
"""Seconds that a claimed task may wait for a slot before it goes back to its queue."""

_AHEAD_PER_SLOT = 3
_KNOWN_AFTER = 3
_SHARE = 0.2


class Pace:
    """The running average of what tasks took, in seconds."""

    def __init__(self) -> None:
        """Know nothing yet: the first tasks are claimed one a slot."""
        self._average_s = 0.0
        self._count = 0

    def note(self, seconds: float) -> None:
        """Take how long a task has taken."""
        self._count += 1
        share = max(_SHARE, 1 / self._count)
        self._average_s += (seconds - self._average_s) * share

    def slow_down(self) -> None:
        """Take that tasks have waited too long: begin to learn anew."""
        self._count = 0
        self._average_s = 0.0

    @property
    def ahead(self) -> int:
        """How many tasks a slot may have beyond the one that it runs."""
        if self._count < _KNOWN_AFTER or self._average_s > SHORT_S:
            return 0
        return _AHEAD_PER_SLOT
