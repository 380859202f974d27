"""What is counted of calls and tasks, and how Prometheus reads it.

A meter belongs to one service and is changed from the event loop only, so it needs no lock. Names
are escaped where they become labels.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from .recent import Recent

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Times:
    """A histogram of times in seconds; `bounds` are the upper ends of its buckets."""

    __slots__ = ("bounds", "buckets", "seconds")

    def __init__(self, bounds: Sequence[float] = BUCKETS_S) -> None:
        """Begin at zero."""
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.seconds += seconds
        self.buckets[bisect_left(self.bounds, seconds)] += 1


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


class Sample(NamedTuple):
    """One line: labels and a number."""

    labels: dict[str, str]
    value: float


def family(name: str, kind: str, meaning: str, samples: Iterable[Sample]) -> list[str]:
    """Return the lines of one metric."""
    lines = [f"# HELP rootward_{name} {meaning}", f"# TYPE rootward_{name} {kind}"]
    lines += [f"rootward_{name}{_labels(s.labels)} {s.value:.10g}" for s in samples]
    return lines


def histogram(name: str, meaning: str, rows: Iterable[tuple[dict[str, str], Times]]) -> list[str]:
    """Return the lines of one histogram; each row has its labels."""
    lines = [f"# HELP rootward_{name} {meaning}", f"# TYPE rootward_{name} histogram"]
    for labels, times in rows:
        total = 0
        for bound, count in zip([*map(str, times.bounds), "+Inf"], times.buckets, strict=True):
            total += count
            lines.append(f"rootward_{name}_bucket{_labels({**labels, 'le': bound})} {total}")
        lines.append(f"rootward_{name}_sum{_labels(labels)} {times.seconds:.10g}")
        lines.append(f"rootward_{name}_count{_labels(labels)} {total}")
    return lines


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    told = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return "{" + ",".join(told) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
