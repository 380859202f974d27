"""Connections to endpoints, kept between calls.

A connection is reused only while the other side surely keeps it, and after a look that it has not
ended. Each is used by one call at a time and by one process only: a forked child begins without
any. A new one carries nothing before the other side has proven that it is the replica.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from ..errors import CallError
from . import proof

CONNECT_TIMEOUT_S: Final = 3.0
# Less than replicas keep idle ones, so that it is never they who close one that is being used.
IDLE_S: Final = 30.0
_KERNEL_LIMITS: Final = (
    ("TCP_KEEPIDLE", 10),
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", 30_000),
)
_MAX_LINE: Final = 1 << 16
_MAX_HEADERS: Final = 100
_JOINED_BYTES: Final = 1 << 16

_idle: dict[Peer, list[Connection]] = {}
# With a call under way, by the token of their replica.
_busy: dict[str, set[Connection]] = {}
# An answer may be collected, and counted out, while this very thread holds it.
_busy_lock = threading.RLock()


class NotSent(Exception):
    """The connection ended before the other side had the whole of what was sent."""


class Peer(NamedTuple):
    """Whom a connection leads to: an address, and the token of the replica that was found there."""

    host: str
    port: int
    token: str


class Place(NamedTuple):
    """The parts of an endpoint's URL."""

    host: str
    port: int
    prefix: str
    netloc: str


@lru_cache(maxsize=1024)
def place(url: str) -> Place:
    """Take a URL apart; raises CallError for one that isn't http."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise CallError(f"{url!r} is no endpoint: it must begin with http://")
    return Place(parts.hostname, parts.port or 80, parts.path.rstrip("/"), parts.netloc)


def connect(url: str, token: str) -> Connection:
    """Return a kept connection to the replica that `token` names, or a new one; raises OSError.

    Nothing may be sent on it before `prove`.
    """
    host, port, _, _ = place(url)
    peer = Peer(host, port, token)
    kept = _idle.get(peer)
    while kept:
        try:
            connection = kept.pop()
        except IndexError:
            break
        if connection.is_alive():
            return connection
        connection.close()
    _close_stale()
    return Connection(peer)


def _close_stale() -> None:
    for connections in list(_idle.values()):
        while connections:
            try:
                # The oldest is first; what another thread has just taken is no longer here.
                oldest = connections.pop(0)
            except IndexError:
                break
            if oldest.is_fresh():
                connections.insert(0, oldest)
                break
            oldest.close()


def notice_lost_host(sock: socket.socket) -> None:
    """Have the kernel break a connection whose other host has vanished, and so sends nothing.

    An idle one is asked after; what was sent must be acknowledged in time. It is the last resort:
    the registry mostly knows before. The limit is above what a process may need that is alive and
    too busy to read.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KERNEL_LIMITS:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def busy(token: str) -> int:
    """Return how many calls of this process the replica has under way."""
    return len(_busy.get(token, ()))


def break_off(tokens: Iterable[str]) -> None:
    """End the calls under way to replicas that are gone: whoever waits for one hears it at once.

    What had arrived until now is still read.
    """
    with _busy_lock:
        lost = [connection for token in tokens for connection in _busy.get(token, ())]
    for connection in lost:
        connection.shut_down()


class Connection:
    """One TCP connection, used for one exchange at a time."""

    def __init__(self, peer: Peer) -> None:
        """Connect; raises OSError."""
        self.peer = peer
        # Whether the registry has said that its replica is gone.
        self.is_lost = False
        self._sock = socket.create_connection((peer.host, peer.port), CONNECT_TIMEOUT_S)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        notice_lost_host(self._sock)
        self._file = self._sock.makefile("rb", 1 << 16)
        self._used_at = time.monotonic()
        self._is_proven = False

    def is_fresh(self) -> bool:
        """Whether it has been used so lately that the other side still keeps it."""
        return time.monotonic() - self._used_at < IDLE_S

    def is_alive(self) -> bool:
        """Whether it can be used again: an idle one that has something to read has ended."""
        if not self.is_fresh():
            return False
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not poll.poll(0)

    def occupy(self) -> None:
        """Count it among those with a call under way."""
        with _busy_lock:
            _busy.setdefault(self.peer.token, set()).add(self)

    def vacate(self) -> None:
        """Count it out again."""
        token = self.peer.token
        with _busy_lock:
            there = _busy.get(token)
            if there is not None:
                there.discard(self)
                if not there:
                    del _busy[token]

    def shut_down(self) -> None:
        """End it for a thread that reads from it; any thread may say so."""
        self.is_lost = True
        # It may have ended by itself, or been closed.
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def keep(self) -> None:
        """Keep it for the next exchange."""
        self._used_at = time.monotonic()
        _idle.setdefault(self.peer, []).append(self)

    def close(self) -> None:
        """End it."""
        self._file.close()
        self._sock.close()

    def prove(self, key: bytes, timeout: float | None) -> None:
        """Have the other side prove, once, that it is the replica and holds `key`.

        Raises OSError: Unproven when it isn't, TimeoutError after `timeout` seconds.
        """
        if self._is_proven:
            return
        limit_s = proof.TIMEOUT_S if timeout is None else min(timeout, proof.TIMEOUT_S)
        challenge = proof.new_challenge()
        self._sock.settimeout(limit_s)
        host = f"[{self.peer.host}]" if ":" in self.peer.host else self.peer.host
        self._sock.sendall(proof.request(f"{host}:{self.peer.port}", challenge))
        try:
            proof.check(key, self.peer.token, challenge, self._answer())
        except (ValueError, IndexError) as error:
            raise proof.Unproven from error
        self._is_proven = True

    def _answer(self) -> bytes:
        """Return the body of a short answer."""
        if self.line().split(b" ", 2)[1] != b"200":
            raise proof.Unproven
        length = 0
        for _ in range(_MAX_HEADERS):
            name, _, value = self.line().partition(b":")
            if name == b"\r\n":
                break
            if name.lower() == b"content-length":
                length = min(int(value), proof.LIMIT_BYTES)
        return self.read(length)

    def send(self, head: bytes, body: bytes, timeout: float | None) -> None:
        """Send a request; `timeout` (seconds) holds for every wait until the next. NotSent."""
        self._sock.settimeout(timeout)
        try:
            if len(body) < _JOINED_BYTES:
                self._sock.sendall(head + body)
            else:
                self._sock.sendall(head)
                self._sock.sendall(body)
        except TimeoutError:
            raise
        except OSError:
            # An answer may be there all the same: 413 comes before the body has gone. If none
            # is, the replica never had the whole call.
            poll = select.poll()
            poll.register(self._sock, select.POLLIN)
            if not poll.poll(0):
                raise NotSent from None

    def line(self) -> bytes:
        """Return the next line; raises ConnectionResetError at the end, TimeoutError."""
        line = self._file.readline(_MAX_LINE)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the connection ended")
        return line

    def read(self, length: int) -> bytes:
        """Return so many bytes; raises ConnectionResetError, TimeoutError."""
        data: bytes = self._file.read(length)
        if len(data) < length:
            raise ConnectionResetError("the answer broke off")
        return data


# A forked child must not write into its parent's connections.
def _forget() -> None:
    _idle.clear()
    # The calls under way are the parent's.
    _busy.clear()


os.register_at_fork(after_in_child=_forget)
