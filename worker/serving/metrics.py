"""What a replica counts of itself, as Prometheus reads it.

Counted are calls, errors of the module, refused requests, calls under way, and how long the calls
took. Calls begin and end in threads of their own, so each change is made under a lock.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """The counters of one replica; times are in seconds."""

    __slots__ = (
        "_buckets",
        "_label",
        "_lock",
        "_seconds",
        "calls",
        "errors",
        "in_flight",
        "refused",
    )

    def __init__(self, path: str) -> None:
        """Begin at zero; `path` labels every line."""
        self._lock = threading.Lock()
        self.calls = 0
        self.errors = 0
        self.refused = 0
        self.in_flight = 0
        self._seconds = 0.0
        self._buckets = [0] * (len(BUCKETS_S) + 1)
        escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        self._label = f'module="{escaped}"'

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
            self._seconds += seconds
            self._buckets[bisect_left(BUCKETS_S, seconds)] += 1

    def was_refused(self) -> None:
        """Count a request that wasn't served."""
        with self._lock:
            self.refused += 1

    def text(self) -> str:
        """Return all counters in Prometheus' text format."""
        lines: list[str] = []
        for name, kind, value, meaning in (
            ("calls_total", "counter", self.calls, "Calls that have ended."),
            ("errors_total", "counter", self.errors, "Calls that ended with the module's error."),
            ("refused_total", "counter", self.refused, "Requests that were refused."),
            ("calls_in_flight", "gauge", self.in_flight, "Calls under way."),
        ):
            lines += [f"# HELP rootward_{name} {meaning}", f"# TYPE rootward_{name} {kind}"]
            lines.append(f"rootward_{name}{{{self._label}}} {value}")
        lines += self._histogram("rootward_call_seconds")
        return "\n".join(lines) + "\n"

    def _histogram(self, name: str) -> list[str]:
        lines = [f"# HELP {name} How long calls took.", f"# TYPE {name} histogram"]
        total = 0
        for bound, count in zip([*map(str, BUCKETS_S), "+Inf"], self._buckets, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{self._label},le="{bound}"}} {total}')
        lines.append(f"{name}_sum{{{self._label}}} {self._seconds:.9g}")
        lines.append(f"{name}_count{{{self._label}}} {total}")
        return lines
