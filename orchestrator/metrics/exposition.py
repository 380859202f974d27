"""Writing metrics in Prometheus' text format: one registry a process, read when somebody asks.

An `Exposition` has what its owner has collected into `Families`, the build of rootward, and the
process's own figures (`process_...`), which prometheus-client reads. That is imported with the
first question, as most processes are never asked.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Final

from .catalogue import BUILD_INFO, Metric, MetricKind

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

    from .times import Times

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Families:
    """What was collected at one moment: samples by metric, each with all labels of its metric."""

    def __init__(self) -> None:
        """Collect nothing yet."""
        self._found: dict[Metric, Family] = {}

    def __iter__(self) -> Iterator[Family]:
        return iter(self._found.values())

    def add(self, metric: Metric, value: float, *labels: object) -> None:
        """Add a sample of a counter or a gauge; labels stand in the order of the metric's."""
        self.know(metric).add_metric([str(each) for each in labels], value)  # type: ignore[attr-defined]

    def add_times(self, metric: Metric, times: Times, *labels: object) -> None:
        """Add a histogram."""
        family = self.know(metric)
        family.add_metric(  # type: ignore[attr-defined]
            [str(each) for each in labels], times.cumulative(), sum_value=times.seconds
        )

    def know(self, metric: Metric) -> Family:
        """Return the family of a metric; one that was asked for is written, also when empty."""
        family = self._found.get(metric)
        if family is None:
            family = self._found[metric] = _family(metric)
        return family


class Exposition:
    """All metrics of one process, for one thread at a time."""

    def __init__(self) -> None:
        """Register nothing yet."""
        self._families = Families()

    def text(self, families: Families) -> bytes:
        """Return what Prometheus reads: these, and those of the process."""
        from prometheus_client import generate_latest

        families.add(BUILD_INFO, 1, metadata.version("rootward"), platform.python_version())
        self._families = families
        return generate_latest(self._registry)

    @cached_property
    def _registry(self) -> CollectorRegistry:
        from prometheus_client import CollectorRegistry, ProcessCollector
        from prometheus_client.registry import Collector

        page = self

        class Ours(Collector):
            def collect(self) -> Iterator[Family]:
                return iter(page._families)

            def describe(self) -> list[Family]:
                # Else it would be collected at its registration.
                return []

        registry = CollectorRegistry()
        registry.register(Ours())
        ProcessCollector(registry=registry)
        return registry


def _family(metric: Metric) -> Family:
    from prometheus_client import core

    kinds: dict[MetricKind, type[Family]] = {
        MetricKind.COUNTER: core.CounterMetricFamily,
        MetricKind.GAUGE: core.GaugeMetricFamily,
        MetricKind.HISTOGRAM: core.HistogramMetricFamily,
    }
    return kinds[metric.kind](metric.name, metric.meaning, labels=metric.labels)  # type: ignore[call-arg]
