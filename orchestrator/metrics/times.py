"""A histogram of times, counted in plain numbers: what a call pays for it is one bisection.

It needs no lock where one thread changes it; others see to that themselves.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

CALL_BOUNDS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0),
)
TASK_BOUNDS_S: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)


class Times:
    """Times in seconds; `bounds` are the upper ends of the buckets."""

    __slots__ = ("bounds", "buckets", "seconds")

    def __init__(self, bounds: Sequence[float] = CALL_BOUNDS_S) -> None:
        """Begin at zero."""
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.seconds += seconds
        self.buckets[bisect_left(self.bounds, seconds)] += 1

    def cumulative(self) -> list[tuple[str, float]]:
        """Return the buckets as Prometheus has them, each with all that is below its end."""
        ends = [*map(str, self.bounds), "+Inf"]
        return list(zip(ends, map(float, accumulate(self.buckets)), strict=True))
