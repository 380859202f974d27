"""Bodies and answers in pieces: streamed both ways, as fast as the slower side."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.doors import CALL, TIMEOUT_S, House, Replica, post, run, until


def test_items_of_a_stream_arrive_one_by_one() -> None:
    async def scenario() -> None:
        more = asyncio.Event()

        async def streams(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
            for number in range(3):
                writer.write(b"9\r\ndata: %d\n\n\r\n" % number)
                await more.wait()
                more.clear()
            writer.write(b"0\r\n\r\n")

        async with House() as house:
            house.serve("app/echo", await house.replica("r1", streams))
            caller = await house.connect()
            caller.send(post(CALL))
            async with asyncio.timeout(TIMEOUT_S):
                assert b"text/event-stream" in await caller.reader.readuntil(b"\r\n\r\n")
                for number in range(3):
                    line = await caller.reader.readuntil(b"\n\n\r\n")
                    assert line == b"9\r\ndata: %d\n\n\r\n" % number
                    more.set()
                assert await caller.reader.readexactly(5) == b"0\r\n\r\n"
            caller.send(post(CALL))
            async with asyncio.timeout(TIMEOUT_S):
                await caller.reader.readuntil(b"\r\n\r\n")

    run(scenario)


def test_a_stream_that_breaks_off_is_seen_to() -> None:
    async def breaks(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica("r1", breaks)
            house.serve("app/echo", replica)
            caller = await house.connect()
            caller.send(post(CALL))
            assert not (await caller.rest()).endswith(b"0\r\n\r\n")
            assert len(replica.requests) == 1

    run(scenario)


def test_a_slow_reader_slows_the_replica_and_not_the_gateways_memory() -> None:
    async def scenario() -> None:
        written = 0

        async def floods(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(1000):
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
                written += 65536
            writer.write(b"0\r\n\r\n")

        async with House() as house:
            house.serve("app/echo", await house.replica("r1", floods))
            caller = await house.connect()
            caller.writer.transport.pause_reading()
            caller.send(post(CALL))
            await until(lambda: written > 0)
            for _ in range(50):
                await asyncio.sleep(0.01)
            assert written < 32 << 20
            caller.writer.transport.resume_reading()
            async with asyncio.timeout(TIMEOUT_S):
                size = 0
                while piece := await caller.reader.read(1 << 20):
                    size += len(piece)
                    if piece.endswith(b"0\r\n\r\n"):
                        break
            assert size > 65536 * 1000

    run(scenario)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [10, 3 << 20])
def test_bodies_arrive_whole_and_large_ones_are_streamed(size: int, chunked: bool) -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            house.serve("app/echo", replica)
            caller = await house.connect()
            body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
            if chunked:
                caller.send(b"POST %b HTTP/1.1\r\nHost: localhost\r\n" % CALL.encode())
                caller.send(b"Transfer-Encoding: chunked\r\n\r\n")
                for at in range(0, size, 50_000):
                    piece = body[at : at + 50_000]
                    caller.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                caller.send(b"0\r\n\r\n")
            else:
                caller.send(post(CALL, body))
            assert (await caller.reply()).status == 200
            head, _, sent = replica.raw.partition(b"\r\n\r\n")
            if chunked and size > 1 << 20:
                assert b"transfer-encoding: chunked" in head
                sent = b"".join(_pieces(sent))
            assert sent == body

    run(scenario)


def _pieces(data: bytes) -> list[bytes]:
    found = []
    while data:
        size, _, data = data.partition(b"\r\n")
        found.append(data[: int(size, 16)])
        data = data[int(size, 16) + 2 :]
    return found


def test_an_announced_body_is_asked_for() -> None:
    async def scenario() -> None:
        async with House() as house:
            house.serve("app/echo", await house.replica())
            caller = await house.connect()
            head, _, body = post(CALL, b"12345", b"Expect: 100-continue").partition(b"\r\n\r\n")
            caller.send(head + b"\r\n\r\n")
            async with asyncio.timeout(TIMEOUT_S):
                first = await caller.reader.readuntil(b"\r\n\r\n")
            assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
            caller.send(body)
            assert (await caller.reply()).status == 200

    run(scenario)


def test_whoever_sends_slowly_loses_the_connection_and_costs_no_replica() -> None:
    async def scenario() -> None:
        async with House(head_s=1.0, body_s=1.0) as house:
            replica = await house.replica()
            house.serve("app/echo", replica)
            slow = [await house.connect() for _ in range(50)]
            for number, caller in enumerate(slow):
                caller.send(post(CALL, b"x" * 100)[: 20 if number % 2 else -50])
            assert (await house.post(CALL)).status == 200
            answers = [await caller.rest() for caller in slow]
            assert {answer[:12] for answer in answers} == {b"HTTP/1.1 408"}
            assert len(replica.requests) == 1

    run(scenario)


def test_an_error_is_never_written_into_an_answer() -> None:
    async def scenario() -> None:
        async def begins(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")

        async with House() as house:
            replica = await house.replica("r1", begins)
            replica.reads_bodies = False
            house.serve("app/echo", replica)
            caller = await house.connect()
            caller.send(b"POST %b HTTP/1.1\r\nHost: localhost\r\n" % CALL.encode())
            caller.send(b"Transfer-Encoding: chunked\r\n\r\n")
            caller.send(b"180000\r\n" + b"x" * 0x180000 + b"\r\n")
            async with asyncio.timeout(TIMEOUT_S):
                await caller.reader.readuntil(b"1\r\na\r\n")
            caller.send(b"no size\r\n")
            assert b"HTTP/1.1 400" not in await caller.rest()

    run(scenario)
