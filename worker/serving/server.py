"""The socket of a replica and the connections that came through it, until the last call has ended.

It costs nothing while nobody is connected: no timer runs then. Draining listens no more, lets calls
end for as long as it was told, and cuts what is left.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .connection import CallerConnection
from .request_head import heads

if TYPE_CHECKING:
    from .call import CallRunner
    from .roles import OpenConnection
    from .router import ReplicaApp

ROUND_S: Final = 5.0
_BACKLOG: Final = 2048


class Listener:
    """What all connections of one replica share."""

    def __init__(self, app: ReplicaApp, serving: CallRunner) -> None:
        self.app, self.serving = app, serving
        self.heads = heads()
        self.loop = asyncio.get_running_loop()
        # Told of the calls under way, whenever that changes in a drain.
        self.on_calls: Callable[[int], None] = lambda _: None
        self._callers: set[OpenConnection] = set()
        self._server: asyncio.Server | None = None
        self._round: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()

    async def open(self, sock: socket.socket) -> None:
        """Listen on the bound socket."""
        self._server = await self.loop.create_server(
            lambda: CallerConnection(self), sock=sock, backlog=_BACKLOG
        )

    async def ended(self) -> None:
        """Return when a drain is over."""
        await self._ended.wait()
        for caller in list(self._callers):
            caller.transport.abort()

    def drain(self, grace_s: float) -> None:
        """Take nothing new, and end after the calls or in `grace_s` seconds.

        Said again, it can only shorten the time.
        """
        at = self.loop.time() + grace_s
        if self._end is None or at < self._end.when():
            if self._end is not None:
                self._end.cancel()
            self._end = self.loop.call_at(at, self._ended.set)
        if self.app.is_draining:
            return
        self.app.is_draining = True
        self.serving.on_end = lambda: self._on_loop(self._look)
        if self._server is not None:
            self._server.close()
        for caller in list(self._callers):
            caller.retire()
        self._look()

    def entered(self, caller: OpenConnection) -> None:
        """Count a connection in."""
        self._callers.add(caller)
        if self._round is None:
            self._round = self.loop.call_later(ROUND_S, self._go_round)

    def left(self, caller: OpenConnection) -> None:
        """Count a connection out."""
        self._callers.discard(caller)
        if self.app.is_draining:
            self._look()

    def _look(self) -> None:
        """Look whether a drain is over."""
        calls = self.serving.metrics.in_flight
        self.on_calls(calls)
        if not calls and not self._callers:
            self._ended.set()

    def _go_round(self) -> None:
        now = time.monotonic()
        for caller in [each for each in self._callers if each.deadline <= now]:
            caller.expire()
        self._round = self.loop.call_later(ROUND_S, self._go_round) if self._callers else None

    def _on_loop(self, function: Callable[[], None]) -> None:
        try:
            self.loop.call_soon_threadsafe(function)
        except RuntimeError:
            # It has ended, and so has all that waits for it.
            return
