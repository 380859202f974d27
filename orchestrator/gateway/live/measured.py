"""The measured figures of services as documents: what this gateway's own calls were like.

They are made from the routing table, which belongs to the event loop, and say nothing of calls that
replicas make of one another.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..proxy.table import Table
    from ..recent import Figures

STEP_S: Final = 3.0


def measured(table: Table) -> dict[str, Any]:
    """Return the document of each service by its key; a service without calls is null.

    Rates are as of a moment each few seconds: else each look would be a change.
    """
    now = time.monotonic()
    now -= now % STEP_S
    return {
        f"m/{service.view.path}": None
        if service.meter.recent.is_quiet(now)
        else {
            **_told(service.meter.recent.lately(now)),
            "whole": _told(service.meter.recent.whole(now)),
            "series": [
                None
                if each is None
                else [_short(f) for f in (each.rate, each.p50, each.p99, each.errors)]
                for each in service.meter.recent.series(now)
            ],
            "replicas": {
                replica.view.replica: _told(replica.recent.lately(now))
                for each in (service, service.canary)
                if each is not None
                for replica in each.replicas.values()
                if not replica.recent.is_quiet(now)
            },
        }
        for service in table
    }


def _told(figures: Figures) -> dict[str, Any]:
    return {name: _short(value) for name, value in figures._asdict().items()}


def _short(value: float | None) -> float | None:
    """Return a number with three figures, so that what hardly changes is no change."""
    return None if value is None else float(f"{value:.3g}")
