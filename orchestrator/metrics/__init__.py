"""Metrics for Prometheus: `catalogue` names all of them, `times` counts, `exposition` writes them.

What happens often is counted in plain numbers where it happens, and read when somebody asks: each
process has one registry, whose one collector of ours reads them.
"""

from __future__ import annotations

from .catalogue import CATALOGUE, Metric, MetricKind, Source
from .times import Times

__all__ = ["CATALOGUE", "Metric", "MetricKind", "Source", "Times"]
