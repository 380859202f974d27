"""The gateway's metrics, from what its table, server and meters have counted.

It only reads; what is counted, and when, is decided where it happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...metrics import catalogue

if TYPE_CHECKING:
    from ...metrics.exposition import Families
    from ..frontend.server import Door
    from ..proxy.table import RoutedService

_CLASSES: Final = ("gone", "1xx", "2xx", "3xx", "4xx", "5xx")


def collect(door: Door, families: Families) -> None:
    """Add all of the gateway's own metrics."""
    families.add(catalogue.GATEWAY_CONNECTIONS, door.connections)
    families.add(catalogue.GATEWAY_ACCEPTED, door.entered)
    families.add(catalogue.GATEWAY_STALE, door.table.stale_s or 0)
    families.know(catalogue.GATEWAY_REFUSED)
    for status, count in sorted(door.refusals.items()):
        families.add(catalogue.GATEWAY_REFUSED, count, status)
    families.know(catalogue.GATEWAY_CALLS)
    for service in sorted(door.table, key=lambda service: service.view.path):
        _collect_service(service, families)
    _collect_generations(door, families)


def _collect_generations(door: Door, families: Families) -> None:
    for metric in (catalogue.GENERATION_CALLS, catalogue.GENERATION_ERRORS):
        families.know(metric)
    for (name, generation), tally in door.table.counting:
        place = name, generation
        families.add(catalogue.GENERATION_CALLS, tally.calls, *place)
        families.add(catalogue.GENERATION_ERRORS, tally.errors, *place)
        families.add(catalogue.GENERATION_SHARE, door.table.counting.share_of(*place), *place)
        if tally.calls:
            families.add(catalogue.GENERATION_TAIL, tally.p99 or 0.0, *place)


def _collect_service(service: RoutedService, families: Families) -> None:
    view, meter, path = service.view, service.meter, service.view.path
    both = [service] if service.canary is None else [service, service.canary]
    for name, count in zip(_CLASSES, meter.by_class, strict=True):
        if count:
            families.add(catalogue.GATEWAY_CALLS, count, path, name)
    for metric, value in (
        (catalogue.GATEWAY_IN_FLIGHT, sum(each.in_flight for each in both)),
        (catalogue.GATEWAY_WAITING, sum(len(each.waiting) for each in both)),
        (catalogue.GATEWAY_READY, len(service.replicas)),
        # What is stopped, or failed at its start, wants none: else an alert would never end.
        (catalogue.GATEWAY_WANTED, view.wanted if view.is_coming or view.endpoints else 0),
        (catalogue.GATEWAY_HELD, meter.held),
        (catalogue.GATEWAY_REPEATS, meter.repeats),
        (catalogue.GATEWAY_UNREPEATED, meter.unrepeated),
        (catalogue.GATEWAY_EJECTIONS, meter.ejections),
        (catalogue.GATEWAY_GONE, meter.departures),
    ):
        families.add(metric, value, path)
    families.add_times(catalogue.GATEWAY_TIME, meter, path)
