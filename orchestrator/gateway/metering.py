"""What the gateway counts, and how Prometheus reads it.

A meter belongs to one service and is changed from the event loop only, so it needs no lock. Names
of services are escaped where they become labels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Meter:
    """The counters of one service; times are in seconds."""

    __slots__ = (
        "buckets",
        "by_class",
        "departures",
        "ejections",
        "held",
        "repeats",
        "seconds",
        "unrepeated",
    )

    def __init__(self) -> None:
        """Begin at zero."""
        self.by_class = [0] * 6
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.seconds = 0.0
        self.held = 0
        self.repeats = 0
        self.unrepeated = 0
        self.ejections = 0
        self.departures = 0

    def answered(self, status: int, seconds: float) -> None:
        """Count one answer."""
        self.by_class[status // 100] += 1
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS_S, seconds)] += 1


class Sample(NamedTuple):
    """One line: labels and a number."""

    labels: dict[str, str]
    value: float


def family(name: str, kind: str, meaning: str, samples: Iterable[Sample]) -> list[str]:
    """Return the lines of one metric."""
    lines = [f"# HELP rootward_{name} {meaning}", f"# TYPE rootward_{name} {kind}"]
    lines += [f"rootward_{name}{_labels(s.labels)} {s.value:.10g}" for s in samples]
    return lines


def histogram(name: str, meaning: str, meters: Sequence[tuple[str, Meter]]) -> list[str]:
    """Return the lines of the time that calls took, by service."""
    lines = [f"# HELP rootward_{name} {meaning}", f"# TYPE rootward_{name} histogram"]
    for service, meter in meters:
        total = 0
        for bound, count in zip([*map(str, BUCKETS_S), "+Inf"], meter.buckets, strict=True):
            total += count
            labels = _labels({"service": service, "le": bound})
            lines.append(f"rootward_{name}_bucket{labels} {total}")
        labels = _labels({"service": service})
        lines.append(f"rootward_{name}_sum{labels} {meter.seconds:.10g}")
        lines.append(f"rootward_{name}_count{labels} {total}")
    return lines


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    told = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return "{" + ",".join(told) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
