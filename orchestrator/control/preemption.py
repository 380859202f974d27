"""Which services of a running generation must end before their replacements can start.

A replica with a fixed port, or with a resource that the workers don't have twice, can't run beside
its successor: it is replaced stop-then-start. Everything else is replaced start-then-stop, and
nothing gives way before the successor's deploy task is next. Pure functions of what is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rootward.modules.needs.resources import most_at_once

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..planning.graph import Service

GIVES_WAY_AFTER_S = 10.0
"""A replacement that needs resources has waited this long on its queue: nobody has them free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """A service of a newer generation, where its deploy task stands and when it was queued."""

    service: Service
    state: str
    queued_at: float | None = None

    @property
    def is_next(self) -> bool:
        """Whether its deploy task is released, under way or done."""
        return self.state in {"queued", "running", "succeeded"}


def giving_way(
    services: Iterable[Service],
    running: Mapping[str, int],
    successors: Iterable[Successor],
    offers: Sequence[Mapping[str, float]],
    now: float,
) -> frozenset[str]:
    """Return the paths of the running services that must end for a successor to start.

    `running` counts live replicas by path; `offers` are the resources of each live worker.
    """
    old = {service.path: service for service in services}
    paths: set[str] = set()
    for successor in successors:
        if not successor.is_next:
            continue
        port = successor.service.port
        paths.update(path for path, service in old.items() if port and service.port == port)
        own = old.get(successor.service.path)
        if own is not None and own.resources and _lacks_room(successor, running, offers, now):
            paths.add(own.path)
    return frozenset(paths)


def _lacks_room(
    successor: Successor,
    running: Mapping[str, int],
    offers: Sequence[Mapping[str, float]],
    now: float,
) -> bool:
    service = successor.service
    if not service.resources:
        return False
    room = sum(most_at_once(offer, service.resources) for offer in offers)
    if room <= running.get(service.path, 0):
        return True
    queued_at = successor.queued_at
    waits = successor.state == "queued" and queued_at is not None
    return waits and now > (queued_at or 0.0) + GIVES_WAY_AFTER_S
