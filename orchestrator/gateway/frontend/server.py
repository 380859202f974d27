"""The gateway as a server: it listens, counts who is inside, and closes without losing a call.

One round, four times a second, looks at every deadline, so that a request sets no timer of its own.
What a request means is found here: a call of a service, or a page of the application. Draining
stops listening, lets calls under way end, and cuts what is left when its grace is over.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from typing import TYPE_CHECKING, Final

from ...http.framing import read_request
from ...http.head_cache import HeadCache
from ..access import Right
from ..proxy.passthrough import call_of, given_on
from ..proxy.table import PREFIX
from ..proxy.upstream import IDLE_S
from .asgi import Application, Visit
from .connection import ClientConnection
from .responses import RefusedRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...http.framing import Request
    from ..access import Access
    from ..limits import Limits
    from ..proxy.call import ProxiedCall
    from ..proxy.table import RoutedService, Table
    from .connection import Answering

log = logging.getLogger(__name__)

ROUND_S: Final = 0.25
_SERVICES: Final = PREFIX.encode()
_CODING: Final = b"content-encoding"
_METHODS: Final = frozenset({b"GET", b"HEAD", b"POST"})


class Door:
    """The connections of one gateway and what they share."""

    def __init__(self, table: Table, access: Access, limits: Limits) -> None:
        self.table, self.access, self.limits = table, access, limits
        self.heads = HeadCache(partial(read_request, limits=limits))
        self.application: Application = _nothing
        # Another kind of call where traces are asked for.
        self.make_call: Callable[[ClientConnection, Request, RoutedService, str], ProxiedCall] = (
            call_of
        )
        self.is_draining = False
        self.stale_line: bytes | None = None
        self.refusals: dict[int, int] = {}
        self.entered = 0
        self._connections: set[ClientConnection] = set()
        self._servers: list[asyncio.Server] = []
        self._round: asyncio.Task[None] | None = None
        self._empty = asyncio.Event()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def open(self, sockets: list[socket.socket]) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            server = await loop.create_server(
                lambda: ClientConnection(self), sock=sock, backlog=2048
            )
            self._servers.append(server)
        self._round = loop.create_task(self._go_round())

    async def close(self) -> None:
        """Drain, for as long as the grace allows, and close everything."""
        self.is_draining = True
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.drain()
        if self._connections:
            try:
                async with asyncio.timeout(self.limits.grace_s):
                    await self._empty.wait()
            except TimeoutError:
                log.warning(
                    "gateway.cut %d connections after the grace of %g s",
                    len(self._connections),
                    self.limits.grace_s,
                    extra={"event": "gateway.cut", "connections": len(self._connections)},
                )
        for connection in list(self._connections):
            connection.transport.abort()
        if self._round is not None:
            self._round.cancel()
        for service in self.table:
            service.close()

    def enters(self, connection: ClientConnection) -> bool:
        """Let a connection in; return whether it has a place."""
        self._connections.add(connection)
        self._empty.clear()
        self.entered += 1
        return len(self._connections) <= self.limits.connections and not self.is_draining

    def left(self, connection: ClientConnection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def refused(self, status: int) -> None:
        """Count an answer that is the gateway's own error."""
        self.refusals[status] = self.refusals.get(status, 0) + 1

    def answering(self, client: ClientConnection, request: Request) -> Answering:
        """Return what will answer a request that may be asked; raises Refusal."""
        target = request.target
        if not target.startswith(_SERVICES):
            if request.has_body and any(name == _CODING for name, _ in request.headers()):
                raise RefusedRequest(
                    415, "the API takes bodies as they are, without a content-encoding"
                )
            return Visit(client, request, self.application)
        match = self.table.match(target.partition(b"?")[0].decode())
        if match.route == "/docs" and not match.service.view.is_foreign:
            return Visit(client, request, self.application)
        service = match.service.next(request.own.get(b"x-rootward-generation"))
        if service.view.is_foreign:
            # Whatever its path looks like: nothing there is a page of ours.
            self.access.check(request, Right.READ)
            if request.method == b"TRACE":
                raise RefusedRequest(405, "TRACE would show what only the server is to see")
            request.lines = given_on(request, self.access)
        elif request.method not in _METHODS:
            raise RefusedRequest(405, "services take GET and POST", b"allow: GET, HEAD, POST")
        return self.make_call(client, request, service, match.route)

    async def _go_round(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(ROUND_S)
            self.run_once(loop.time())

    def run_once(self, now: float) -> None:
        """Look at every deadline."""
        for connection in [each for each in self._connections if each.deadline <= now]:
            connection.expire()
        stale_s = self.table.stale_s
        told = None if stale_s is None else b"x-rootward-stale: %d" % stale_s
        self.stale_line = told
        for service in self.table.each():
            for replica in service.replicas.values():
                if replica.idle:
                    replica.trim(now, IDLE_S)


async def _nothing(scope: object, receive: object, send: object) -> None:
    del scope, receive, send
