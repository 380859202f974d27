"""What a replica counts of itself.

Counted are calls, errors of the module, refused requests, calls under way, and how long the calls
took. Calls begin and end in threads of their own, so each change is made under a lock. While there
are any, the owner is told how many, on average over half a second: that says more than a count at
one moment, where calls are short.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from rootward.orchestrator.metrics import Times, catalogue
from rootward.orchestrator.metrics.exposition import Exposition, Families

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

PERIOD_S: Final = 0.25
PERIODS: Final = 2


class Metrics:
    """The counters of one replica; times are in seconds."""

    __slots__ = (
        "_changed_at",
        "_lock",
        "_page",
        "_path",
        "_times",
        "_work_s",
        "calls",
        "errors",
        "in_flight",
        "refused",
    )

    def __init__(self, path: str) -> None:
        """Begin at zero; `path` labels every line."""
        self._lock = threading.Lock()
        self._path, self._page = path, Exposition()
        self._times = Times()
        self.calls = 0
        self.errors = 0
        self.refused = 0
        self.in_flight = 0
        self._work_s, self._changed_at = 0.0, time.perf_counter()

    @property
    def work_s(self) -> float:
        """The seconds that all calls together were under way until now."""
        with self._lock:
            self._sum_up()
            return self._work_s

    def _sum_up(self) -> None:
        now = time.perf_counter()
        self._work_s += self.in_flight * (now - self._changed_at)
        self._changed_at = now

    def began(self) -> None:
        """Count a call that begins."""
        with self._lock:
            self._sum_up()
            self.in_flight += 1

    def finished(self, seconds: float, *, is_error: bool) -> None:
        """Count a call that has ended."""
        with self._lock:
            self._sum_up()
            self.in_flight -= 1
            self.calls += 1
            self.errors += is_error
            self._times.observe(seconds)

    def was_refused(self) -> None:
        """Count a request that wasn't served."""
        with self._lock:
            self.refused += 1

    def text(self) -> bytes:
        """Return all counters in Prometheus' text format."""
        families = Families()
        with self._lock:
            families.add(catalogue.CALLS, self.calls, self._path)
            families.add(catalogue.ERRORS, self.errors, self._path)
            families.add(catalogue.REFUSED, self.refused, self._path)
            families.add(catalogue.IN_FLIGHT, self.in_flight, self._path)
            families.add_times(catalogue.CALL_TIME, self._times, self._path)
        return self._page.text(families)


class LoadReports:
    """Tells `tell` the average of the calls under way, from the first call until there are none.

    While nobody calls no timer runs. It lives in one loop.
    """

    def __init__(
        self, metrics: Metrics, loop: asyncio.AbstractEventLoop, tell: Callable[[float], None]
    ) -> None:
        """Say nothing before the first call."""
        self._metrics, self._loop, self._tell = metrics, loop, tell
        # When it was looked, and the work until then; the oldest first.
        self._marks: list[tuple[float, float]] = []

    def began(self) -> None:
        """Take that a call begins; in the loop."""
        if not self._marks:
            self._mark()
            self._loop.call_later(PERIOD_S, self._look)

    def _mark(self) -> None:
        work_s = self._metrics.work_s
        self._marks = [*self._marks[-PERIODS:], (time.perf_counter(), work_s)]

    def _look(self) -> None:
        self._mark()
        (began, before_s), (now, work_s) = self._marks[0], self._marks[-1]
        average = (work_s - before_s) / max(now - began, 1e-9)
        self._tell(average)
        if average or self._metrics.in_flight:
            self._loop.call_later(PERIOD_S, self._look)
        else:
            self._marks = []
