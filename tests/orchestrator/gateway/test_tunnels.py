"""WebSockets of foreign servers: upgraded as asked, passed on raw, ended by either side."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.support.doors import (
    FOREIGN,
    TIMEOUT_S,
    Caller,
    House,
    Replica,
    Reply,
    get,
    headers_of,
    post,
    run,
    until,
)

UPGRADE = (
    b"Connection: keep-alive, Upgrade",
    b"Upgrade: WebSocket",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class Echo(Replica):
    """Answers 101, and then echoes whatever comes, as it comes."""

    greets = b""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(SWITCHED + self.greets)
        while data := await reader.read(65536):
            if data == b"bye":
                break
            self.raw += data
            writer.write(data)
        self.has_ended = True
        writer.close()

    has_ended = False


async def echo(house: House) -> Echo:
    replica = Echo("echo")
    await replica.start()
    house._replicas.append(replica)
    house.serve("app/llm", replica, **FOREIGN)
    return replica


async def opened(house: House, *more: bytes) -> Caller:
    """Return a connection that has become a WebSocket."""
    caller = await house.connect()
    caller.send(get("/services/app/llm/ws", *UPGRADE, *more))
    async with asyncio.timeout(TIMEOUT_S):
        reply = Reply(await caller.reader.readuntil(b"\r\n\r\n"))
    assert reply.status == 101
    assert (reply.headers["upgrade"], reply.headers["connection"]) == ("websocket", "Upgrade")
    assert reply.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    return caller


async def exchanged(caller: Caller, data: bytes) -> bytes:
    caller.send(data)
    async with asyncio.timeout(TIMEOUT_S):
        return await caller.reader.readexactly(len(data))


def test_a_websocket_is_passed_on_byte_by_byte() -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await echo(house)
            replica.greets = b"welcome"
            caller = await opened(house)
            async with asyncio.timeout(TIMEOUT_S):
                assert await caller.reader.readexactly(7) == b"welcome"
            assert headers_of(replica.requests[0])[b"connection"] == b"Upgrade"
            assert headers_of(replica.requests[0])[b"upgrade"] == b"websocket"
            # Nothing of it is read as HTTP, and its size has no limit.
            for data in (b"\x81\x00\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 3_000_000):
                assert await exchanged(caller, data) == data

    run(scenario)


def test_what_a_caller_sends_ahead_reaches_the_server() -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await echo(house)
            caller = await house.connect()
            caller.send(get("/services/app/llm/ws", *UPGRADE) + b"early")
            async with asyncio.timeout(TIMEOUT_S):
                await caller.reader.readuntil(b"\r\n\r\n")
                assert await caller.reader.readexactly(5) == b"early"
            assert replica.raw == b"early"

    run(scenario)


def test_either_end_ends_the_other() -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await echo(house)
            caller = await opened(house)
            caller.send(b"bye")
            assert await caller.rest() == b""
            replica.has_ended = False
            caller = await opened(house)
            caller.close()
            await until(lambda: replica.has_ended)
            [service] = list(house.table)
            await until(lambda: service.in_flight == 0)
            # Neither is an error, nor a slow answer.
            assert service.meter.by_class == [0, 2, 0, 0, 0, 0]

    run(scenario)


def test_a_tunnel_in_which_nothing_is_said_is_cut() -> None:
    async def scenario() -> None:
        async with House(tunnel_idle_s=0.3) as house:
            replica = await echo(house)
            caller = await opened(house)
            assert await exchanged(caller, b"still there") == b"still there"
            assert await caller.rest() == b""
            await until(lambda: replica.has_ended)

    run(scenario)


def test_an_upgrade_that_is_refused_is_an_answer() -> None:
    async def scenario() -> None:
        async with House() as house:
            house.serve("app/llm", await house.replica("r"), **FOREIGN)
            reply = await house.ask(get("/services/app/llm/ws", *UPGRADE))
            assert (reply.status, reply.body) == (200, b"r")

    run(scenario)


@pytest.mark.parametrize("line", [b"Upgrade: h2c", b"Upgrade: websocket, h2c", b"X: y"])
def test_only_websockets_are_upgraded(line: bytes) -> None:
    async def switches(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCHED)

    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica("r", switches)
            house.serve("app/llm", replica, **FOREIGN)
            reply = await house.ask(get("/services/app/llm/ws", b"Connection: Upgrade", line))
            # A server that switches unasked has understood something else than we have.
            assert reply.status == 502
            assert not re.search(rb"upgrade: ", replica.requests[0], re.IGNORECASE)

    run(scenario)


def test_a_websocket_of_another_sites_page_is_refused() -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await echo(house)
            origin = b"Origin: https://elsewhere.example"
            assert (await house.ask(get("/services/app/llm/ws", *UPGRADE, origin))).status == 403
            assert replica.requests == []

    run(scenario)


def test_a_slow_reader_of_a_tunnel_slows_its_server() -> None:
    async def scenario() -> None:
        class Flood(Echo):
            async def _serve(
                self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
            ) -> None:
                self.writers.append(writer)
                await reader.readuntil(b"\r\n\r\n")
                writer.write(SWITCHED)
                for _ in range(500):
                    writer.write(b"x" * 65536)
                    await writer.drain()
                writer.close()

        async with House() as house:
            replica = Flood("flood")
            await replica.start()
            house._replicas.append(replica)
            house.serve("app/llm", replica, **FOREIGN)
            caller = await opened(house)
            caller.writer.transport.pause_reading()
            [service] = house.table
            [there] = service.replicas.values()
            # It stops to read from the server, and the kernel's buffers do the rest.
            await until(lambda: any(not kept.transport.is_reading() for kept in there.busy))
            caller.writer.transport.resume_reading()
            size = 0
            async with asyncio.timeout(TIMEOUT_S):
                while piece := await caller.reader.read(1 << 20):
                    size += len(piece)
            assert size == 65536 * 500

    run(scenario)


def test_a_module_is_never_upgraded() -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            house.serve("app/echo", replica)
            await house.ask(get("/services/app/echo/readyz", *UPGRADE))
            assert b"upgrade" not in replica.requests[0].lower()
            assert (await house.ask(post("/services/app/echo/x"))).status == 404

    run(scenario)
