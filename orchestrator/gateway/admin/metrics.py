"""The gateway's metrics as one text, from what its table, door and meters have counted.

It only reads; what is counted, and when, is decided where it happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..meters import Sample, family, histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..frontend.server import Door
    from ..proxy.table import Service

_CLASSES: Final = ("gone", "1xx", "2xx", "3xx", "4xx", "5xx")


def metrics_text(door: Door) -> str:
    """Return all of the gateway's metrics in Prometheus' text format."""
    services = sorted(door.table, key=lambda service: service.view.path)
    lines = [*_of_gateway(door), *_of_services(services)]
    lines += histogram(
        "gateway_call_seconds",
        "How long calls took, holding and repeating included.",
        [({"service": service.view.path}, service.meter) for service in services],
    )
    return "\n".join(lines) + "\n"


def _of_gateway(door: Door) -> list[str]:
    stale_s = door.table.stale_s
    refusals = sorted(door.refusals.items())
    return [
        *family(
            "gateway_connections",
            "gauge",
            "Open connections of callers.",
            [Sample({}, door.connections)],
        ),
        *family(
            "gateway_connections_total",
            "counter",
            "Connections of callers since the start.",
            [Sample({}, door.entered)],
        ),
        *family(
            "gateway_registry_stale_seconds",
            "gauge",
            "Since when the registry can't be read; 0 while it is followed.",
            [Sample({}, stale_s or 0)],
        ),
        *family(
            "gateway_refused_total",
            "counter",
            "Requests that the gateway answered with an error of its own, by status.",
            [Sample({"status": str(status)}, count) for status, count in refusals],
        ),
    ]


def _of_services(services: Iterable[Service]) -> list[str]:
    services = list(services)
    told = [
        *family(
            "gateway_calls_total",
            "counter",
            "Calls that have ended, by class of status; gone: the caller left first.",
            [
                Sample({"service": each.view.path, "class": name}, count)
                for each in services
                for name, count in zip(_CLASSES, each.meter.by_class, strict=True)
                if count
            ],
        )
    ]
    gauges = (
        ("calls_in_flight", "gauge", "Calls under way or held.", lambda s: s.in_flight),
        ("calls_waiting", "gauge", "Calls held for a replica.", lambda s: len(s.waiting)),
        ("replicas_ready", "gauge", "Replicas in the table.", lambda s: len(s.replicas)),
        ("replicas_wanted", "gauge", "Replicas there should be.", lambda s: s.view.wanted),
        ("held_total", "counter", "Calls that had to wait.", lambda s: s.meter.held),
        ("repeats_total", "counter", "Calls sent again.", lambda s: s.meter.repeats),
        (
            "unrepeated_total",
            "counter",
            "Calls not sent again as too many were.",
            lambda s: s.meter.unrepeated,
        ),
        ("ejections_total", "counter", "Replicas left out.", lambda s: s.meter.ejections),
        (
            "replicas_gone_total",
            "counter",
            "Ready replicas that ended, were lost, or were replaced.",
            lambda s: s.meter.departures,
        ),
    )
    for name, kind, meaning, value in gauges:
        samples = [Sample({"service": each.view.path}, value(each)) for each in services]
        told += family(f"gateway_{name}", kind, meaning, samples)
    return told
