"""The registry written out for Traefik's Redis provider: routes, servers, and what keeps it awake.

`entries` is pure: services in, keys and values out. `Publisher` writes them in one transaction, and
knows three habits of the provider's: an empty table is ignored, so that one entry that routes
nothing always stays; it hears of changes by keyspace notifications alone and doesn't ask for them
again after a restart of Redis, so that they are switched on with every whole write; and it applies
what it hears after a pause, which its own configuration sets.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import re
from typing import TYPE_CHECKING, Final

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from .access import is_loopback
from .proxy.follower import Follower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from redis import Redis

    from ..client.client import Client
    from .proxy.views import ServiceView

log = logging.getLogger(__name__)

ROOT: Final = "traefik"
FLAGS: Final = "K$gx"
_OURS: Final = "rw-"
_SETTLE_S: Final = 0.02


def entries(views: Iterable[ServiceView], root: str = ROOT) -> dict[str, str]:
    """Return what Traefik is to find below `root`: a route for each service with ready replicas."""
    found = {f"{root}/http/middlewares/{_OURS}keep/stripPrefix/prefixes/0": "/rootward-keep"}
    for view in views:
        if view.endpoints:
            found |= {f"{root}/http/{key}": value for key, value in _of_service(view).items()}
    return found


def _of_service(view: ServiceView) -> dict[str, str]:
    id_, prefix = _id(view.path), f"/services/{view.path}"
    server = f"services/{id_}/loadBalancer"
    found = {
        # A prefix alone would take what only begins alike.
        f"routers/{id_}/rule": f"Path(`{prefix}`) || PathPrefix(`{prefix}/`)",
        f"routers/{id_}/service": id_,
        f"middlewares/{id_}-strip/stripPrefix/prefixes/0": prefix,
        # On loopback a replica is known by its own address only.
        f"{server}/passHostHeader": "false",
    }
    if not view.is_foreign:
        found[f"{server}/healthCheck/path"] = "/readyz"
        found[f"{server}/healthCheck/interval"] = "1s"
        found[f"{server}/healthCheck/timeout"] = "1s"
    used = [f"{id_}-strip"]
    if view.repeatable:
        used.append(f"{id_}-retry")
        found[f"middlewares/{id_}-retry/retry/attempts"] = "4"
        found[f"middlewares/{id_}-retry/retry/initialInterval"] = "20ms"
    if not (view.is_foreign or all(is_loopback(endpoint.host) for endpoint in view.endpoints)):
        used.append(f"{id_}-token")
        key = f"middlewares/{id_}-token/headers/customRequestHeaders/Authorization"
        found[key] = f"Bearer {view.call_token}"
    for number, name in enumerate(used):
        found[f"routers/{id_}/middlewares/{number}"] = name
    for number, each in enumerate(sorted(view.endpoints, key=lambda e: e.replica)):
        host = f"[{each.host}]" if ":" in each.host else each.host
        found[f"{server}/servers/{number}/url"] = f"http://{host}:{each.port}"
    return found


def _id(path: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")[:40]
    return f"{_OURS}{plain}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"


class Publisher:
    """Keeps the keys below `root` that are ours as they should be."""

    def __init__(self, redis: Redis, root: str = ROOT) -> None:
        self._redis, self._root = redis, root

    def publish(self, wanted: Mapping[str, str]) -> int:
        """Write what differs and remove what is no more, in one step; return how many keys."""
        self._listen()
        known = [
            key.decode()
            for key in self._redis.scan_iter(f"{self._root}/http/*/{_OURS}*", count=1000)
        ]
        values = self._redis.mget(known) if known else []
        there = dict(zip(known, values, strict=True))
        changed = {k: v for k, v in wanted.items() if there.get(k) != v.encode()}
        gone = [key for key in known if key not in wanted]
        if changed or gone:
            pipe = self._redis.pipeline(transaction=True)
            if changed:
                pipe.mset(changed)
            if gone:
                pipe.delete(*gone)
            pipe.execute()
        return len(changed) + len(gone)

    def _listen(self) -> None:
        """Switch on the notifications that the provider hears, beside those that others want."""
        try:
            given = self._redis.config_get("notify-keyspace-events")
            flags = str(given["notify-keyspace-events"])
            missing = "".join(flag for flag in FLAGS if flag not in flags)
            # A stands for all kinds of events.
            if missing and not ("A" in flags and "K" in flags):
                self._redis.config_set("notify-keyspace-events", flags + missing)
        except (NoPermissionError, ResponseError) as error:
            log.warning(
                "traefik.deaf: set notify-keyspace-events to %s by hand (%s)",
                FLAGS,
                error,
                extra={"event": "traefik.deaf"},
            )


def export(client: Client, *, root: str, follow: bool, told: Callable[[int, int], None]) -> None:
    """Write the registry out once, or until the process ends; `told(services, keys)` each time.

    Routes lead to the current generation: a canary gets none of the calls that come this way.
    Raises WrongSecret: a table in which no address can be checked would take all routes away.
    """
    client.check_secret()
    changes: queue.SimpleQueue[tuple[str, Sequence[ServiceView]] | bool] = queue.SimpleQueue()
    follower = Follower(
        client.store,
        client.signer,
        lambda name, views, _canary: changes.put((name, views)),
        changes.put,
    )
    publisher = Publisher(client.store.clients.scripts, root)
    tables: dict[str, Sequence[ServiceView]] = {}
    is_known = False
    follower.start()
    try:
        while True:
            for change in _taken(changes):
                if isinstance(change, tuple):
                    tables[change[0]] = change[1]
                else:
                    is_known = change
            if not is_known:
                # Half a table, or one that nobody can write, withdraws no route.
                continue
            views = [view for name in sorted(tables) for view in tables[name]]
            try:
                written = publisher.publish(entries(views, root))
            except (RedisError, OSError) as error:
                log.warning("traefik.unwritten: %s", error, extra={"event": "traefik.unwritten"})
                continue
            told(sum(bool(view.endpoints) for view in views), written)
            if not follow:
                return
    finally:
        follower.close()


def _taken(
    changes: queue.SimpleQueue[tuple[str, Sequence[ServiceView]] | bool],
) -> list[tuple[str, Sequence[ServiceView]] | bool]:
    """Wait for a change and take all that come with it."""
    found = [changes.get()]
    while True:
        try:
            found.append(changes.get(timeout=_SETTLE_S))
        except queue.Empty:
            return found
