"""The thread that listens to the owner in a slot or replica, whatever the main thread does.

It owns the end of the process: when the channel ends, or a lease that the owner armed is not
renewed in time, the whole process group is killed. It answers pings itself, so that a process whose
main thread is busy isn't taken for a dead one. New endpoints are put to use at once, also in the
middle of a task; everything else is passed on in order.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from . import process_tree

if TYPE_CHECKING:
    from rootward.modules.processes import channel
    from rootward.modules.rpc.endpoints import PushedRoutes


class ParentWatch:
    """Reads one channel in a daemon thread; `on_message` is called there."""

    def __init__(
        self,
        connection: channel.Channel,
        routes: PushedRoutes,
        on_message: Callable[[channel.Message], None],
        vitals: Callable[[], dict[str, float]] = dict,
    ) -> None:
        """Read nothing yet; each answer to a ping says what `vitals` returns then."""
        self._channel, self._routes, self._on_message = connection, routes, on_message
        self._vitals = vitals
        self._ends_at: float | None = None

    @property
    def has_lapsed(self) -> bool:
        """Whether the lease is over: this process is about to end, and must answer nobody."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def start(self) -> None:
        """Take what has come already, then listen in the background."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        while self._channel.has_message or poll.poll(0):
            self._listen_once()
        # Not by `threading`: with its bookkeeping this costs a new slot half as much again.
        _thread.start_new_thread(self._listen, ())

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        while True:
            if not self._channel.has_message:
                left = None if self._ends_at is None else self._ends_at - time.monotonic()
                if left is not None:
                    poll.poll(max(0.0, left * 1000))
                # Also when a renewal has come: after a stop it comes too late.
                if self.has_lapsed:
                    _end()
            self._listen_once()

    def _listen_once(self) -> None:
        received = self._channel.recv()
        if received is None:
            _end()
        message, fds = received
        for fd in fds:
            os.close(fd)
        if message["op"] == "routes":
            if message.get("key"):
                self._routes.key = message["key"]
            self._routes.update(message["table"])
            return
        # Renewed while the owner lives, or for an exclusive one while it holds its lease.
        if message.get("ttl") is not None:
            self._ends_at = time.monotonic() + message["ttl"]
        if message["op"] == "ping":
            self._channel.send({"event": "pong", "n": message["n"], **self._vitals()})
            return
        self._on_message(message)


def tell_held(connection: channel.Channel, path: str, count: int) -> None:
    """Tell the owner how many calls this process holds for a service, if there is one to tell."""
    with contextlib.suppress(OSError):
        connection.send({"event": "held", "path": path, "count": count})


def _end() -> NoReturn:
    """End this process and its group, at once."""
    process_tree.kill_group(os.getpgrp())
    os._exit(1)
