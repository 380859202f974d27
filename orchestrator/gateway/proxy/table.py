"""The routing table: which replicas answer for a path, and which calls wait for one.

It lives in the event loop and is changed by whole views of a deployment; a look-up is one or two
reads of a dictionary, however many endpoints there are. While Redis is away the last table stays,
and says since when. What happens to a call is left to `call`.
"""

from __future__ import annotations

import asyncio
import difflib
import random
import time
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from ...rollout.counting import Counting
from ...rollout.share import FairShare
from ...rollout.tally import CallTally
from ..frontend.responses import RefusedRequest
from ..meters import Meter
from .budget import Budget
from .progress import PROGRESS_S
from .replica import UpstreamReplica, choose

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from .roles import Waiting
    from .views import CanaryView, EndpointView, ServiceView

PREFIX: Final = "/services/"
ROUTES: Final = frozenset({"call", "healthz", "readyz", "metrics", "openapi.json", "docs"})
_SEARCHED: Final = 200
_ARRIVAL_S: Final = 0.25


class RoutedService:
    """One service with its replicas, the calls under way and those that wait."""

    def __init__(
        self, view: ServiceView, counting: Counting, *, meter: Meter | None = None
    ) -> None:
        self.view = view
        self._counting = counting
        self.replicas: dict[EndpointView, UpstreamReplica] = {}
        self.in_flight = 0
        self.waiting: dict[Waiting, None] = {}
        # That of its path: a canary adds to it.
        self.meter = Meter() if meter is None else meter
        self.tally = CallTally()
        self.budget = Budget()
        self.is_gone = False
        self.canary: RoutedService | None = None
        self.percent = 0.0
        # Where its calls go when it is gone.
        self.successor: RoutedService | None = None
        self._share = FairShare()
        # Called when a call is held for it.
        self.on_held: Callable[[RoutedService], None] = lambda _: None
        self._lost = ""
        # No longer in the view, and with calls under way.
        self._leaving: list[UpstreamReplica] = []
        self._order: tuple[UpstreamReplica, ...] = ()
        self.take(view)

    def take(self, view: ServiceView) -> None:
        """Follow a newer view; what waits looks again."""
        fresh = {
            endpoint: self.replicas.get(endpoint)
            or UpstreamReplica(
                endpoint,
                view.call_token,
                view.call_key,
                view.generation,
                is_foreign=view.is_foreign,
            )
            for endpoint in view.endpoints
        }
        for endpoint, replica in self.replicas.items():
            if endpoint not in fresh:
                replica.close()
                self.meter.departures += 1
                self._leaving.append(replica)
                self._lost = f"{endpoint.host}:{endpoint.port} on {endpoint.worker}"
        self.view, self.replicas = view, fresh
        self.tally = self._counting.of(view.deployment, view.generation)
        self._order = tuple(fresh.values())
        self.wake()

    def break_off(self, replicas: Collection[str]) -> None:
        """End the calls under way to those replicas, which have ended without an answer."""
        self._leaving = [replica for replica in self._leaving if replica.in_flight]
        for replica in (*self.replicas.values(), *self._leaving):
            if replica.view.replica in replicas:
                replica.break_off()

    def drop(self, successor: RoutedService | None = None) -> None:
        """The service is gone for good; what waits for it goes on with its successor, if any."""
        self.is_gone, self.successor = True, successor
        self.close()
        self.wake()

    def next(self, given: bytes | None) -> RoutedService:
        """Return whose the next call is: the canary's in its turn, or that of a `given` generation.

        Raises RefusedRequest for a generation that takes no calls.
        """
        if given is not None:
            return self._generation(given)
        canary = self.canary
        if canary is None or not self._share.is_due(self.percent):
            return self
        # Never to nothing: what is current serves all there is.
        return canary if canary.replicas else self

    def _generation(self, given: bytes) -> RoutedService:
        if not (given.isdigit() and len(given) < 10):
            raise RefusedRequest(400, "x-rootward-generation is the number of a generation")
        routed = [self] if self.canary is None else [self, self.canary]
        for each in routed:
            if each.view.generation == int(given):
                return each
        known = " and ".join(f"{each.view.deployment}@{each.view.generation}" for each in routed)
        raise RefusedRequest(
            404,
            f"{self.view.deployment} has no generation {int(given)} that takes calls of "
            f"{self.view.path}: they go to {known}",
        )

    def pass_on(self) -> RoutedService:
        """Return the one that a call which is under way here goes on with."""
        successor = self.successor
        if successor is None:
            return self
        self.in_flight -= 1
        successor.in_flight += 1
        return successor

    def answered(self, status: int, seconds: float) -> None:
        """Count one answer, by path and by generation."""
        self.meter.answered(status, seconds)
        self.tally.observe(seconds, is_error=status >= 500)

    def choose(self, now: float) -> UpstreamReplica | None:
        """Return the replica for the next call, None while none is open."""
        return choose(self._order, now, random.random)

    @property
    def rising(self) -> str | None:
        """Its path while it sleeps or is being woken, which a call waits for; else None."""
        is_rising = not self.is_gone and (self.view.is_asleep or self.view.is_waking)
        return self.view.path if is_rising else None

    def wake(self) -> None:
        """Let every waiting call look again."""
        waiting, self.waiting = self.waiting, {}
        for call in waiting:
            call.dispatch()

    def hold(self, call: Waiting, until: float, now: float) -> float:
        """Let a call wait for a replica until that time; return when it looks again by itself."""
        self.waiting[call] = None
        self.on_held(self)
        again = self.reopens_at(now)
        at = until if again is None else min(until, again + 0.001)
        return at if self.rising is None else min(at, now + PROGRESS_S)

    def wake_one(self) -> None:
        """Let the call that has waited longest look again."""
        call = next(iter(self.waiting), None)
        if call is not None:
            del self.waiting[call]
            call.dispatch()

    def reopens_at(self, now: float) -> float | None:
        """Return when a replica may be tried again that broke a connection."""
        times = [r.paused_until for r in self.replicas.values() if r.is_suspect and not r.is_probed]
        return max(min(times), now) if times else None

    def why_not(self) -> str:
        """Say what is down and why."""
        if self.is_gone:
            return f"{self.view.path} is served no more"
        if self.view.endpoints:
            told = ", ".join(f"{e.host}:{e.port} on {e.worker}" for e in self.view.endpoints[:3])
            return f"{self.view.path}: no replica takes connections ({told})"
        last = f"; the last that was ready: {self._lost}" if self._lost else ""
        return f"{self.view.path}: {self.view.reason or 'no replica is ready'}{last}"

    def close(self) -> None:
        """Close the kept connections."""
        for replica in self.replicas.values():
            replica.close()

    def follow_canary(self, view: ServiceView | None, percent: float) -> RoutedService | None:
        """Have that canary beside it, or none; return the one that is gone, if any."""
        self.percent = percent
        gone = None
        if self.canary is not None and (
            view is None or view.generation != self.canary.view.generation
        ):
            gone, self.canary = self.canary, None
            gone.drop(self)
        if view is not None and self.canary is None:
            self.canary = RoutedService(view, self._counting, meter=self.meter)
            self.canary.on_held = self.on_held
        elif view is not None and self.canary is not None and self.canary.view != view:
            self.canary.take(view)
        return gone


class Match(NamedTuple):
    """A service and the route of its replica's that a path asks for."""

    service: RoutedService
    route: str


class Table:
    """All services by path."""

    def __init__(self) -> None:
        self._services: dict[str, RoutedService] = {}
        self.counting = Counting()
        self._names: dict[str, tuple[str, ...]] = {}
        # Parts of the longest path of a foreign service; 0 without any.
        self._deepest = 0
        self.is_complete = False
        self.unreached_since: float | None = None
        # Called when a call is held for a service.
        self.on_held: Callable[[RoutedService], None] = lambda _: None
        # Removed, and with calls under way.
        self._removed: list[RoutedService] = []

    def __iter__(self) -> Iterator[RoutedService]:
        return iter(self._services.values())

    def __len__(self) -> int:
        return len(self._services)

    def each(self) -> Iterator[RoutedService]:
        """Yield the services of every generation that takes calls."""
        for service in self._services.values():
            yield service
            if service.canary is not None:
                yield service.canary

    def put(
        self, name: str, views: Iterable[ServiceView], canary: CanaryView | None = None
    ) -> None:
        """Replace what is known of one deployment.

        `views` are of the current generation, and of a canary what only that serves.
        """
        fresh = {view.path: view for view in views}
        for path in self._names.get(name, ()):
            if path not in fresh:
                removed = self._services.pop(path)
                if (beside := removed.follow_canary(None, 0.0)) is not None:
                    self._removed.append(beside)
                removed.drop()
                self._removed.append(removed)
        for path, view in fresh.items():
            known = self._services.get(path)
            if known is None:
                self._services[path] = RoutedService(view, self.counting)
                self._services[path].on_held = self.on_held
            elif known.view != view:
                known.take(view)
        self._deepest = max(
            (path.count("/") + 1 for path, each in self._services.items() if each.view.is_foreign),
            default=0,
        )
        self._names[name] = tuple(fresh)
        if not fresh:
            del self._names[name]
        self._put_canary(name, fresh, canary)

    def _put_canary(
        self, name: str, fresh: Mapping[str, ServiceView], canary: CanaryView | None
    ) -> None:
        beside = {view.path: view for view in canary.services} if canary is not None else {}
        percent = 0.0 if canary is None else canary.share.percent
        for path, view in fresh.items():
            its = beside.get(path)
            if its is not None and its.generation == view.generation:
                its = None
            gone = self._services[path].follow_canary(its, percent)
            if gone is not None:
                self._removed.append(gone)
        routed = {view.generation for view in (*fresh.values(), *beside.values())}
        self.counting.follow(name, None if canary is None else canary.share, routed)

    def gone(self, replicas: Collection[str]) -> None:
        """Follow the registry's word that replicas, named by their ids, have ended.

        One that ended in order has answered before: what has arrived is read first.
        """
        loop = asyncio.get_running_loop()
        loop.call_later(_ARRIVAL_S, self._break_off, replicas)

    def _break_off(self, replicas: Collection[str]) -> None:
        self._removed = [service for service in self._removed if service.in_flight]
        for service in (*self.each(), *self._removed):
            service.break_off(replicas)

    def reached(self, is_reached: bool) -> None:
        """Note whether the registry can be read."""
        if is_reached:
            self.unreached_since, self.is_complete = None, True
        elif self.unreached_since is None:
            self.unreached_since = time.monotonic()

    @property
    def stale_s(self) -> float | None:
        """Seconds since the registry was last read in time; None while it is followed."""
        since = self.unreached_since
        return None if since is None else time.monotonic() - since

    def match(self, raw_path: str) -> Match:
        """Return what an undecoded path below `/services/` means; Refusal 400 or 404."""
        path = raw_path[len(PREFIX) :]
        if self._deepest and (found := self._foreign(path)) is not None:
            return found
        if "%" in path:
            path = _decoded(path)
        service = self._services.get(path)
        if service is not None:
            return Match(service, "/")
        front, _, last = path.rpartition("/")
        if last in ROUTES or not last:
            service = self._services.get(front)
            if service is not None:
                return Match(service, "/" + last)
        if any(part in {"", ".", ".."} for part in path.split("/")[:-1]):
            raise RefusedRequest(400, "a path has no empty parts, and none of dots")
        raise self._unknown(path if last not in ROUTES else front)

    def _foreign(self, path: str) -> Match | None:
        """Return the foreign service that a raw path is below, unless a nearer one isn't foreign.

        What follows its own path is the server's, as it came.
        """
        parts = path.split("/", self._deepest)
        # The last holds all that is too deep to be a service's.
        names = [unquote(part) for part in parts[: self._deepest]]
        for count in range(len(names), 0, -1):
            service = self._services.get("/".join(names[:count]))
            if service is None or any("/" in name for name in names[:count]):
                continue
            if not service.view.is_foreign:
                return None
            route = "/" + "/".join(parts[count:])
            if any(unquote(part) in {".", ".."} for part in route.split("/")):
                raise RefusedRequest(400, "a path has no parts of dots")
            return Match(service, route)
        return None

    def _unknown(self, path: str) -> RefusedRequest:
        if not self.is_complete:
            return RefusedRequest(503, "the registry has not been read yet", b"retry-after: 1")
        near = self.near(path)
        hint = f": did you mean {' or '.join(near)}?" if near else "; see /api/services"
        return RefusedRequest(404, f"there is no service {path[:200]!r}{hint}")

    def near(self, path: str) -> list[str]:
        """Return up to three services that may be meant."""
        first, last = path.partition("/")[0], path.rpartition("/")[2]
        alike = [
            each
            for each in self._services
            if each.rpartition("/")[2] == last or each.partition("/")[0] == first
        ]
        # Comparing texts is slow: an unknown path must not cost more than a known one's call.
        searched = (alike or list(self._services))[:_SEARCHED]
        return difflib.get_close_matches(path[:200], searched, 3, 0.5) or alike[:3]


def _decoded(path: str) -> str:
    try:
        decoded = unquote_to_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise RefusedRequest(400, "the path is no UTF-8") from error
    if decoded.count("/") != path.count("/"):
        raise RefusedRequest(400, "a path has no encoded slashes")
    if "\\" in decoded or not decoded.isprintable():
        raise RefusedRequest(400, "a path has no backslashes and no control characters")
    return decoded
