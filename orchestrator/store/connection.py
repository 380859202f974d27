"""The connections to Redis: one client for scripts, one for blocking reads, one for the heartbeat.

They differ in what may be repeated and how long they wait, and nobody else makes a client. Every
script can be repeated, so that client retries; the heartbeat never waits behind anything. No
message and no repr here shows a password.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from ..address import Address, BadAddress, shown
from ..errors import NoRedis

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis
    from redis.retry import Retry

LONGEST_BLOCK_S = 5.0
"""Seconds that a blocking read waits at most, well below the blocking client's socket time-out."""

LARGEST_VALUE = 512 << 20
"""Bytes that a server takes as one value, unless it is configured otherwise."""

_CHECK_S = 0.8


class Clients:
    """The three clients of one process; `name` is what `CLIENT LIST` shows.

    Making them connects to nothing. `close` may be called twice.
    """

    def __init__(self, url: str, *, name: str = "rootward") -> None:
        self.address = shown(url)
        self.scripts = _client(url, name, retry=_patient(), timeout_s=5.0)
        self.blocking = _client(url, name, retry=_once(), timeout_s=LONGEST_BLOCK_S + 5)
        self.heartbeat = _client(url, name, retry=_once(), timeout_s=2.0, connections=1)

    @classmethod
    def sharing(cls, client: Redis) -> Clients:
        """Use one given client for everything, for example one of an in-process server."""
        clients = cls.__new__(cls)
        clients.address = "the given client"
        clients.scripts = clients.blocking = clients.heartbeat = client
        return clients

    def plain_socket(self) -> socket.socket | None:
        """Connect once more and return the socket; None where it isn't a plain one (TLS)."""
        pool: Any = self.scripts.connection_pool
        connection = pool.make_connection()
        connection.connect()
        sock = connection._sock
        if type(sock) is not socket.socket:
            connection.disconnect()
            return None
        # It is the caller's now: the connection would close it with itself.
        connection._sock = None
        return sock

    def largest_value(self) -> int:
        """Return how many bytes the server takes as one value; the usual number if it won't say."""
        from redis.exceptions import ResponseError

        try:
            found = self.scripts.config_get("proto-max-bulk-len")
            return int(found["proto-max-bulk-len"] or LARGEST_VALUE)
        except (ResponseError, KeyError, ValueError):
            # Many users may not read the configuration, and some servers have none.
            return LARGEST_VALUE

    def close(self) -> None:
        """Close all connections; a client used after that opens new ones."""
        for client in (self.scripts, self.blocking, self.heartbeat):
            with contextlib.suppress(Exception):
                client.close()


def check(url: str) -> None:
    """Raise NoRedis, within a second, unless the server at `url` answers this user."""
    from redis.exceptions import RedisError

    from ..refusals import refusal

    try:
        client = _client(url, "rootward-check", retry=_once(), timeout_s=_CHECK_S)
    except BadAddress as cause:
        raise NoRedis(f"{shown(url)} is no address of a Redis: {cause}") from None
    try:
        client.ping()
    except (RedisError, OSError) as cause:
        if (refused := refusal(cause, shown(url))) is not None:
            raise NoRedis(refused.sentence) from None
        raise NoRedis(
            f"no Redis at {shown(url)} ({_short(cause)}): start it, or set REDIS_URL; "
            "`rootward up` brings its own"
        ) from None
    finally:
        client.close()


def _client(
    url: str, name: str, *, retry: Retry, timeout_s: float, connections: int | None = None
) -> Redis:
    import redis

    there = Address.parse(url)
    options: dict[str, Any] = {
        "retry": retry,
        "client_name": name,
        "socket_timeout": timeout_s,
        "protocol": 2,
        "db": there.db,
        "username": there.username,
        "password": there.password,
    }
    if there.scheme != "unix":
        options |= {"socket_connect_timeout": min(timeout_s, 2.0), "socket_keepalive": True}
    if there.is_sentinel:
        return _from_sentinel(there, options)
    if there.scheme == "unix":
        options |= {"connection_class": redis.UnixDomainSocketConnection, "path": there.path}
    else:
        (host, port), *_ = there.nodes
        options |= {"host": host, "port": port}
        if there.scheme == "rediss":
            options |= {"connection_class": redis.SSLConnection, **_tls(there)}
    if connections is None:
        pool = redis.ConnectionPool(health_check_interval=15, **options)
    else:
        options |= {"max_connections": connections, "timeout": timeout_s}
        pool = redis.BlockingConnectionPool(**options)  # type: ignore[no-untyped-call]
    return redis.Redis.from_pool(pool)


def _from_sentinel(there: Address, options: Mapping[str, Any]) -> Redis:
    """Open the server that Sentinels know; they are asked with credentials of their own."""
    from redis.sentinel import Sentinel

    own = dict(there.sentinel)
    asked: dict[str, Any] = {
        "socket_timeout": 2.0,
        "username": own.get("sentinel_username"),
        "password": own.get("sentinel_password"),
    }
    chosen = dict(options)
    if there.scheme.startswith("rediss"):
        chosen |= {"ssl": True, **_tls(there)}
        if own.get("sentinel_tls", "yes") != "no":
            asked |= {"ssl": True, **_tls(there)}
    sentinel: Any = Sentinel(there.nodes, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(there.service, **chosen)
    return client


def _tls(there: Address) -> dict[str, Any]:
    options: dict[str, Any] = dict(there.options)
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() in {
            "1",
            "true",
            "yes",
        }
    return options


def _patient() -> Retry:
    from redis.backoff import ExponentialWithJitterBackoff
    from redis.retry import Retry

    return Retry(ExponentialWithJitterBackoff(base=0.02, cap=1.0), 12)


def _once() -> Retry:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Retry(NoBackoff(), 0)


def _short(cause: BaseException) -> str:
    return str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__
