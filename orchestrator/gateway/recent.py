"""What calls were like in the last quarter of an hour: 60 points of 15 seconds, by logarithm.

One belongs to a service, one to each of its replicas; they are changed from the event loop only. A
time is counted in one of some 150 classes (`tally`), so that percentiles keep two figures at any
scale.
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from ..rollout.tally import percentile, time_class

POINTS: Final = 60
POINT_S: Final = 15.0


class Figures(NamedTuple):
    """Calls a second, medians and 99th percentiles in seconds (None without calls), errors."""

    rate: float
    p50: float | None
    p99: float | None
    calls: int
    errors: int


class _Point:
    __slots__ = ("classes", "errors", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.errors = 0
        self.classes: dict[int, int] = {}


class Recent:
    """A ring of points; those without a call take no place."""

    __slots__ = ("_current", "_points", "_since")

    def __init__(self) -> None:
        """Begin without a call."""
        self._points: list[_Point] = []
        self._current = _Point(-1)
        self._since = time.monotonic()

    def observe(self, seconds: float, now: float, *, is_error: bool) -> None:
        """Count one call that ended at `now` (of the monotonic clock)."""
        number = int(now / POINT_S)
        point = self._current
        if point.number != number:
            point = self._current = _Point(number)
            self._points = [*self._points[1 - POINTS :], point]
        kind = time_class(seconds)
        point.classes[kind] = point.classes.get(kind, 0) + 1
        point.errors += is_error

    def is_quiet(self, now: float) -> bool:
        """Whether there was no call in the time that is shown."""
        return self._current.number <= int(now / POINT_S) - POINTS

    def lately(self, now: float) -> Figures:
        """Return the figures of the last minute."""
        number = int(now / POINT_S)
        points = [p for p in self._points if number - 4 < p.number <= number]
        elapsed = min(3 * POINT_S + now % POINT_S, max(1.0, now - self._since))
        return _figures(points, elapsed)

    def whole(self, now: float) -> Figures:
        """Return the figures of all the time that is shown."""
        number = int(now / POINT_S)
        points = [p for p in self._points if p.number > number - POINTS]
        return _figures(points, min(POINTS * POINT_S, max(1.0, now - self._since)))

    def series(self, now: float) -> list[Figures | None]:
        """Return the figures of each point, oldest first, but for the one that isn't over."""
        last = int(now / POINT_S)
        by_number = {point.number: point for point in self._points}
        return [
            _figures([by_number[number]], POINT_S) if number in by_number else None
            for number in range(last - POINTS, last)
        ]


def _figures(points: list[_Point], elapsed: float) -> Figures:
    classes: dict[int, int] = {}
    for point in points:
        for kind, count in point.classes.items():
            classes[kind] = classes.get(kind, 0) + count
    calls, errors = sum(classes.values()), sum(point.errors for point in points)
    kinds = sorted(classes.items())
    return Figures(
        calls / elapsed,
        percentile(kinds, calls, 0.5),
        percentile(kinds, calls, 0.99),
        calls,
        errors,
    )
