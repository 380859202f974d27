"""The connections to Redis: one client for scripts, one for blocking reads, one for the heartbeat.

They differ in what may be repeated and how long they wait, and nobody else makes a client. Every
script can be repeated, so that client retries; the heartbeat never waits behind anything. No
message and no repr here shows a password.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ..errors import NoRedis

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis
    from redis.retry import Retry

LONGEST_BLOCK_S = 5.0
"""Seconds that a blocking read waits at most, well below the blocking client's socket time-out."""

_CHECK_S = 0.8


class Clients:
    """The three clients of one process; `name` is what `CLIENT LIST` shows.

    Making them connects to nothing. `close` may be called twice.
    """

    def __init__(self, url: str, *, name: str = "rootward") -> None:
        self.address = address(url)
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

    def close(self) -> None:
        """Close all connections; a client used after that opens new ones."""
        for client in (self.scripts, self.blocking, self.heartbeat):
            with contextlib.suppress(Exception):
                client.close()


def check(url: str) -> None:
    """Raise NoRedis, within a second, unless the server at `url` answers."""
    from redis.exceptions import AuthenticationError, RedisError

    try:
        client = _client(url, "rootward-check", retry=_once(), timeout_s=_CHECK_S)
    except ValueError as cause:
        raise NoRedis(f"{address(url)} is no address of a Redis ({cause})") from None
    try:
        client.ping()
    except AuthenticationError as cause:
        raise NoRedis(
            f"Redis at {address(url)} refuses the password: check REDIS_URL ({cause})"
        ) from None
    except (RedisError, OSError) as cause:
        raise NoRedis(
            f"no Redis at {address(url)} ({_short(cause)}): start it, or set REDIS_URL; "
            "`rootward up` brings its own"
        ) from None
    finally:
        client.close()


def address(url: str) -> str:
    """Return the address without user, password and options, as messages show it."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _client(
    url: str, name: str, *, retry: Retry, timeout_s: float, connections: int | None = None
) -> Redis:
    import redis

    options: dict[str, Any] = {
        "retry": retry,
        "client_name": name,
        "socket_timeout": timeout_s,
        "protocol": 2,
    }
    if not url.startswith("unix:"):
        options |= {"socket_connect_timeout": min(timeout_s, 2.0), "socket_keepalive": True}
    if "sentinel" in urlsplit(url).scheme:
        return _from_sentinel(url, options)
    if connections is None:
        return redis.Redis.from_url(url, health_check_interval=15, **options)
    pool = redis.BlockingConnectionPool.from_url(
        url, max_connections=connections, timeout=timeout_s, **options
    )
    return redis.Redis(connection_pool=pool)


def _from_sentinel(url: str, options: Mapping[str, Any]) -> Redis:
    """Open `sentinel://[user:password@]host:port,host:port/SERVICE[?db=N]`."""
    from redis.sentinel import Sentinel

    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    service, db = parts.path.strip("/") or "mymaster", parse_qs(parts.query).get("db", ["0"])[0]
    nodes = [
        (host, int(port or 26379))
        for host, _, port in (each.rpartition(":") for each in hosts.split(",") if each)
    ]
    nodes = [(host or str(port), port if host else 26379) for host, port in nodes]
    chosen = {**options, "db": int(db), "ssl": parts.scheme.startswith("rediss")}
    if credentials:
        chosen |= {"username": user or None, "password": password}
    sentinel: Any = Sentinel(nodes, socket_timeout=2.0)  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(service, **chosen)
    return client


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
