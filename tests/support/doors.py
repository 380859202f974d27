"""A gateway without a registry, for tests: its door, replicas that are plain sockets, and callers.

Replicas record the raw bytes that reach them and answer as the test says; callers send raw bytes.
Everything runs in the test's own event loop.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING, Any, Self

from rootward.modules.rpc import proof
from rootward.orchestrator.gateway.access import Access
from rootward.orchestrator.gateway.frontend.server import Door
from rootward.orchestrator.gateway.limits import Limits
from rootward.orchestrator.gateway.proxy.table import Table
from rootward.orchestrator.gateway.proxy.views import CanaryView, EndpointView, ServiceView
from rootward.orchestrator.rollout.counting import CanaryShare

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    Answer = Callable[["Replica", bytes, asyncio.StreamWriter], Awaitable[None]]

TIMEOUT_S = 30.0
CALL = "/services/app/echo/call"
TOKEN = "a token of the tests, long enough"
KEY = b"k" * 32


def answer_of(body: bytes, status: int = 200, *lines: bytes) -> bytes:
    head = b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n" % (status, len(body))
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


class Replica:
    """A server that records requests; `answer(self, request, writer)` writes the answer."""

    def __init__(self, name: str, answer: Answer | None = None) -> None:
        self.name, self._answer = name, answer
        self.key = KEY
        # What it says instead of a proof.
        self.greeting = b""
        self.proofs = 0
        self.requests: list[bytes] = []
        self.raw = b""
        self.reads_bodies = True
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End as a killed process does: no listening socket, connections reset."""
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    @property
    def view(self) -> EndpointView:
        return EndpointView(
            host="127.0.0.1", port=self.port, token=f"t-{self.name}", replica=self.name, worker="w"
        )

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        return await (read_message(reader) if self.reads_bodies else _read_head(reader))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while True:
                request = await self._read(reader)
                if challenge := re.search(rb"X-Rootward-Challenge: (\w+)", request):
                    told = proof.body(self.key, self.view.token, challenge[1].decode())
                    writer.write(self.greeting or answer_of(told))
                    self.proofs += 1
                    continue
                self.raw += request
                self.requests.append(request)
                if self._answer is not None:
                    await self._answer(self, request, writer)
                else:
                    writer.write(answer_of(self.name.encode()))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            return
        finally:
            writer.close()


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """Read one message, framed by a length or by chunks, as it came."""
    head = await reader.readuntil(b"\r\n\r\n")
    if found := re.search(rb"content-length: *(\d+)", head, re.IGNORECASE):
        return head + await reader.readexactly(int(found[1]))
    if re.search(rb"transfer-encoding: *chunked", head, re.IGNORECASE):
        while True:
            line = await reader.readuntil(b"\r\n")
            head += line + await reader.readexactly(int(line, 16) + 2)
            if int(line, 16) == 0:
                return head
    return head


class House:
    """An open door; an async context manager that closes it and its replicas."""

    def __init__(
        self, *, host: str = "127.0.0.1", hosts: tuple[str, ...] = (), **limits: Any
    ) -> None:
        self.table = Table()
        self.table.reached(is_reached=True)
        self.door = Door(
            self.table,
            Access(host, TOKEN, hosts),
            Limits(**{"hold_s": 2.0, "grace_s": 2.0, **limits}),
        )
        self._replicas: list[Replica] = []
        self._callers: list[Caller] = []

    async def __aenter__(self) -> Self:
        sock = socket.create_server(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        await self.door.open([sock])
        return self

    async def __aexit__(self, *error: object) -> None:
        for caller in self._callers:
            caller.close()
        async with asyncio.timeout(TIMEOUT_S):
            await self.door.close()
            for replica in self._replicas:
                await replica.stop()

    async def replica(self, name: str = "r1", answer: Answer | None = None) -> Replica:
        """Start a replica; it serves nothing before a view names it."""
        replica = Replica(name, answer)
        await replica.start()
        self._replicas.append(replica)
        return replica

    def serve(self, path: str, *replicas: Replica, **options: Any) -> None:
        """Put a service into the table."""
        self.table.put(path.partition("/")[0], [self.view(path, *replicas, **options)])

    def serve_two(
        self, current: ServiceView, canary: ServiceView, percent: float, *more: ServiceView
    ) -> None:
        """Put a service into the table with a canary beside it, and what only one of them has."""
        share = CanaryShare(canary=canary.generation, current=current.generation, percent=percent)
        beside = (canary, *(each for each in more if each.generation == canary.generation))
        self.table.put(
            current.deployment, [current, *more], CanaryView(share=share, services=beside)
        )

    def view(self, path: str, *replicas: Replica, **options: Any) -> ServiceView:
        """Return a service with those replicas."""
        name = path.partition("/")[0]
        endpoints = tuple(replica.view for replica in replicas)
        return ServiceView(
            **{
                "path": path,
                "deployment": name,
                "generation": 1,
                "wanted": 1,
                "endpoints": endpoints,
                "call_token": "call-token",
                "call_key": KEY,
                **options,
            }
        )

    async def connect(self) -> Caller:
        caller = Caller(*await asyncio.open_connection("127.0.0.1", self.port))
        self._callers.append(caller)
        return caller

    async def ask(self, data: bytes) -> Reply:
        """Send bytes on a connection of their own and read one answer."""
        caller = await self.connect()
        caller.send(data)
        reply = await caller.reply()
        caller.close()
        return reply

    async def post(self, path: str, body: bytes = b"{}", *lines: bytes) -> Reply:
        return await self.ask(post(path, body, *lines))


def post(path: str, body: bytes = b"{}", *lines: bytes) -> bytes:
    more = b"".join(line + b"\r\n" for line in lines)
    length = b"Content-Length: %d\r\n" % len(body)
    return (
        b"POST %b HTTP/1.1\r\nHost: localhost\r\n" % path.encode() + length + more + b"\r\n" + body
    )


# The options of a service that is somebody else's server.
FOREIGN = {"is_foreign": True, "call_key": None, "repeatable": False}


def get(path: str, *lines: bytes, method: bytes = b"GET", host: bytes = b"localhost") -> bytes:
    more = b"".join(line + b"\r\n" for line in lines)
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (method, path.encode(), host, more)


def headers_of(request: bytes) -> dict[bytes, bytes]:
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}


class Reply:
    """One answer, read whole."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        self.status = int(first.split(b" ")[1])
        pairs = (line.partition(b": ") for line in lines)
        self.headers = {name.lower().decode(): value.decode() for name, _, value in pairs}


class Caller:
    """A caller's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> Reply:
        async with asyncio.timeout(TIMEOUT_S):
            return Reply(await read_message(self.reader))

    async def rest(self) -> bytes:
        """Read until the connection ends; a reset is an end too."""
        found = b""
        async with asyncio.timeout(TIMEOUT_S):
            try:
                while piece := await self.reader.read(65536):
                    found += piece
            except ConnectionError:
                return found
        return found

    def close(self) -> None:
        self.writer.transport.abort()


def run(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(scenario())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        # The condition is the gateway's own state, which sets no event for tests.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def resets(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


class Gate:
    """An answer that waits until the test opens it."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(
        self, replica: Replica, request: bytes, writer: asyncio.StreamWriter
    ) -> None:
        await self.opened.wait()
        writer.write(answer_of(replica.name.encode()))
