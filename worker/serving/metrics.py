"""What a replica counts of itself.

Counted are calls, errors of the module, refused requests, calls under way, and how long the calls
took. Calls begin and end in threads of their own, so each change is made under a lock.
"""

from __future__ import annotations

import threading

from rootward.orchestrator.metrics import Times, catalogue
from rootward.orchestrator.metrics.exposition import Exposition, Families


class Metrics:
    """The counters of one replica; times are in seconds."""

    __slots__ = ("_lock", "_page", "_path", "_times", "calls", "errors", "in_flight", "refused")

    def __init__(self, path: str) -> None:
        """Begin at zero; `path` labels every line."""
        self._lock = threading.Lock()
        self._path, self._page = path, Exposition()
        self._times = Times()
        self.calls = 0
        self.errors = 0
        self.refused = 0
        self.in_flight = 0

    def began(self) -> None:
        """Count a call that begins."""
        with self._lock:
            self.in_flight += 1

    def finished(self, seconds: float, *, is_error: bool) -> None:
        """Count a call that has ended."""
        with self._lock:
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
