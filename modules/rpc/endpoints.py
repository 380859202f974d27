"""Where served modules answer now: a table of endpoints by path, as calls see it.

Whoever knows the replicas pushes a new table; callers in other threads read it, wait for it to
change, and leave out for a moment what just refused them. An ejection is short and local: only the
next table says that an endpoint is gone; what ended without a word is told by it too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from .connections import break_off

EJECTION_S: Final = 1.0


class Endpoint(NamedTuple):
    """Where one replica answers: its base URL, the token that names it, its id."""

    url: str
    token: str
    replica: str


GONE: Final = "\0gone"
"""Under this key a table names endpoints that have ended: their calls are broken off."""
ASLEEP: Final = "\0asleep"
"""Under this key a table names the paths of services that have no replica until they are called."""
WHOLE: Final = ""
"""A table with this key names every service that is there or on its way, also without endpoints."""


class Routes(Protocol):
    """What a call needs to know of its deployment."""

    @property
    def key(self) -> bytes:
        """Key that signs the calls of the deployment."""

    def endpoints(self, path: str) -> tuple[Endpoint, ...]:
        """Return the usable endpoints of the service at `path`."""

    def is_coming(self, path: str) -> bool:
        """Whether the service at `path` may have an endpoint soon."""

    def wait(self, path: str, seen: tuple[Endpoint, ...], timeout: float) -> tuple[Endpoint, ...]:
        """Return the endpoints when they differ from `seen`, or after `timeout` seconds."""

    def eject(self, path: str, endpoint: Endpoint) -> None:
        """Leave `endpoint` out for a moment: it did not take a call."""


class PushedRoutes:
    """Routes whose table somebody else keeps up to date; safe to use from any thread."""

    def __init__(self, key: bytes) -> None:
        """Begin with an empty table."""
        self.key = key
        # Called with a path and how many calls are held for it, whenever that changes, and again
        # when it falls asleep meanwhile; from whatever thread.
        self.on_held: Callable[[str, int], None] = lambda _path, _count: None
        self._table: dict[str, tuple[Endpoint, ...]] = {}
        self._asleep: frozenset[str] = frozenset()
        self._held: dict[str, int] = {}
        self._ejected: dict[Endpoint, float] = {}
        self._changed = threading.Condition()

    def update(self, table: Mapping[str, Iterable[Sequence[str]]]) -> None:
        """Replace the table by one of `[url, token, replica]` lists by path."""
        asleep = frozenset(path for (path,) in table.get(ASLEEP, ()))
        fresh = {
            path: tuple(Endpoint(url, token, replica) for url, token, replica in endpoints)
            for path, endpoints in table.items()
            if path != ASLEEP
        }
        gone = fresh.pop(GONE, ())
        with self._changed:
            self._table, self._asleep = fresh, asleep
            held = {path: count for path, count in self._held.items() if path in asleep}
            known = {endpoint for endpoints in fresh.values() for endpoint in endpoints}
            self._ejected = {e: until for e, until in self._ejected.items() if e in known}
            self._changed.notify_all()
        break_off(endpoint.token for endpoint in gone)
        for path, count in held.items():
            self.on_held(path, count)

    def endpoints(self, path: str) -> tuple[Endpoint, ...]:
        """Return the endpoints of `path` without those that are ejected now."""
        endpoints = self._table.get(path, ())
        if not self._ejected:
            return endpoints
        with self._changed:
            now = time.monotonic()
            return tuple(e for e in endpoints if self._ejected.get(e, now) <= now)

    def is_coming(self, path: str) -> bool:
        """Whether `path` may have an endpoint soon: not if a whole table lacks it."""
        return path in self._table or WHOLE not in self._table

    def wait(self, path: str, seen: tuple[Endpoint, ...], timeout: float) -> tuple[Endpoint, ...]:
        """Return the endpoints when they differ from `seen`, or after `timeout` seconds.

        Meanwhile the call counts as held: an endpoint may be on its way for that alone.
        """
        self.hold(path, 1)
        try:
            return self._awaited(path, seen, time.monotonic() + timeout)
        finally:
            self.hold(path, -1)

    def _awaited(
        self, path: str, seen: tuple[Endpoint, ...], deadline: float
    ) -> tuple[Endpoint, ...]:
        with self._changed:
            while True:
                now = time.monotonic()
                found = tuple(
                    e for e in self._table.get(path, ()) if self._ejected.get(e, now) <= now
                )
                if found != seen or now >= deadline:
                    return found
                # An ejection that ends changes the answer too, and nobody tells of it.
                ends = [until for until in self._ejected.values() if until > now]
                self._changed.wait(min([deadline, *ends]) - now)

    def is_asleep(self, path: str) -> bool:
        """Whether `path` has no endpoint because nobody called it."""
        return path in self._asleep

    def hold(self, path: str, change: int) -> None:
        """Count calls that wait for an endpoint of `path`, and say how many they are."""
        with self._changed:
            count = self._held.get(path, 0) + change
            if count:
                self._held[path] = count
            else:
                self._held.pop(path, None)
        self.on_held(path, count)

    def eject(self, path: str, endpoint: Endpoint) -> None:
        """Leave `endpoint` out for a second, unless the next table brings a new one sooner."""
        del path
        with self._changed:
            self._ejected[endpoint] = time.monotonic() + EJECTION_S
