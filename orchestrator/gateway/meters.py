"""What is counted of the calls of one service.

A meter belongs to one service and is changed from the event loop only, so it needs no lock.
"""

from __future__ import annotations

import time

from ..metrics import Times
from .recent import Recent


class Meter(Times):
    """The counters of one service, and how long its calls took."""

    __slots__ = ("by_class", "departures", "ejections", "held", "recent", "repeats", "unrepeated")

    def __init__(self) -> None:
        """Begin at zero."""
        super().__init__()
        self.by_class = [0] * 6
        self.held = 0
        self.repeats = 0
        self.unrepeated = 0
        self.ejections = 0
        self.departures = 0
        self.recent = Recent()

    def answered(self, status: int, seconds: float) -> None:
        """Count one answer."""
        self.by_class[status // 100] += 1
        self.observe(seconds)
        self.recent.observe(seconds, time.monotonic(), is_error=status >= 500)
