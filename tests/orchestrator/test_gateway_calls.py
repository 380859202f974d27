"""Calls through the gateway's door, to replicas that do what a test says."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from tests.support.doors import TIMEOUT_S, House, Replica, answer_of, post

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

CALL = "/services/app/echo/call"


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


def test_a_call_reaches_its_replica_with_what_it_needs_and_nothing_else() -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            house.serve("app/echo", replica)
            reply = await house.post(
                CALL,
                b'{"args": [1]}',
                b"Content-Type: application/json",
                b"traceparent: 00-1-2-01",
                b"Authorization: Bearer the-gateways-own",
                b"Cookie: a=b",
                b"Origin: http://localhost",
                b"X-Forwarded-For: 1.2.3.4",
                b"X-Rootward-Token: forged",
            )
            assert (reply.status, reply.body) == (200, b"r1")
            assert reply.headers["x-rootward-replica"] == "r1"
            head, _, body = replica.raw.partition(b"\r\n\r\n")
            assert body == b'{"args": [1]}'
            assert sorted(head.split(b"\r\n")) == sorted(
                [
                    b"POST /call HTTP/1.1",
                    b"host: 127.0.0.1:%d" % replica.port,
                    b"x-rootward-token: t-r1",
                    b"authorization: Bearer call-token",
                    b"Content-Type: application/json",
                    b"traceparent: 00-1-2-01",
                    b"x-forwarded-for: 127.0.0.1",
                    b"content-length: 13",
                ]
            )

    run(scenario)


def test_connections_are_kept_on_both_sides() -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            house.serve("app/echo", replica)
            caller = await house.connect()
            for _ in range(5):
                caller.send(post(CALL))
                assert (await caller.reply()).status == 200
            assert len(replica.requests) == 5
            assert len(replica.writers) == 1
            assert house.door.entered == 1

    run(scenario)


def test_requests_sent_ahead_are_answered_in_order_one_at_a_time() -> None:
    async def scenario() -> None:
        seen = []

        async def counts(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
            seen.append(request[-1:])
            writer.write(answer_of(request[-1:]))

        async with House() as house:
            replica = await house.replica("r1", counts)
            house.serve("app/echo", replica)
            caller = await house.connect()
            caller.send(b"".join(post(CALL, b"%d" % number) for number in range(8)))
            for number in range(8):
                assert (await caller.reply()).body == b"%d" % number
            assert len(replica.writers) == 1
            assert seen == [b"%d" % number for number in range(8)]

    run(scenario)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/services/app/echo", b"POST / "),
        ("/services/app/echo/", b"POST / "),
        ("/services/app/echo/call?x=1", b"POST /call?x=1 "),
        ("/services/%61pp/echo/call", b"POST /call "),
    ],
)
def test_a_path_leads_to_a_route_of_the_replica(path: str, route: bytes) -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            house.serve("app/echo", replica)
            assert (await house.post(path)).status == 200
            assert replica.raw.startswith(route)

    run(scenario)


def test_an_unknown_service_is_told_with_near_ones() -> None:
    async def scenario() -> None:
        async with House() as house:
            house.serve("app/embedder", await house.replica())
            reply = await house.post("/services/app/embeder/call")
            assert reply.status == 404
            assert "did you mean app/embedder?" in json.loads(reply.body)["error"]["message"]

    run(scenario)


def test_a_call_is_held_until_a_replica_is_ready() -> None:
    async def scenario() -> None:
        async with House(hold_s=TIMEOUT_S) as house:
            replica = await house.replica()
            house.serve("app/echo")
            call = asyncio.create_task(house.post(CALL))
            await until(lambda: any(service.waiting for service in house.table))
            house.serve("app/echo", replica)
            assert (await call).status == 200

    run(scenario)


def test_what_is_down_is_told_after_the_hold() -> None:
    async def scenario() -> None:
        async with House(hold_s=0.1) as house:
            house.serve("app/echo", reason="none of 1 wanted replicas is ready: starting on w1")
            reply = await house.post(CALL)
            assert reply.status == 503
            assert int(reply.headers["retry-after"]) > 0
            assert "starting on w1" in json.loads(reply.body)["error"]["message"]

    run(scenario)


def test_what_has_ended_is_not_waited_for() -> None:
    async def scenario() -> None:
        async with House(hold_s=60.0) as house:
            house.serve("app/echo", is_coming=False, reason="app@1 is stopped")
            reply = await house.post(CALL)
            assert (reply.status, b"app@1 is stopped" in reply.body) == (503, True)

    run(scenario)


def test_calls_survive_the_end_of_the_only_replica() -> None:
    async def scenario() -> None:
        async with House(hold_s=TIMEOUT_S) as house:
            first, second = await house.replica("r1", Gate()), await house.replica("r2")
            house.serve("app/echo", first)
            calls = [asyncio.create_task(house.post(CALL)) for _ in range(20)]
            await until(lambda: len(first.requests) == 20)
            await first.stop()
            await until(lambda: sum(len(service.waiting) for service in house.table) == 20)
            house.serve("app/echo", second)
            assert {(await call).body for call in calls} == {b"r2"}

    run(scenario)


def test_a_replica_that_comes_back_at_its_address_is_found_again() -> None:
    async def scenario() -> None:
        async with House(hold_s=TIMEOUT_S) as house:
            replica = await house.replica()
            house.serve("app/echo", replica)
            await replica.stop()
            calls = [asyncio.create_task(house.post(CALL)) for _ in range(20)]
            await until(lambda: sum(len(service.waiting) for service in house.table) == 20)
            await replica.start(replica.port)
            assert {(await call).status for call in calls} == {200}

    run(scenario)


def test_a_call_that_may_not_be_repeated_fails_instead() -> None:
    async def scenario() -> None:
        async with House() as house:
            broken, good = await house.replica("r1", resets), await house.replica("r2")
            house.serve("app/echo", broken, repeatable=False)
            reply = await house.post(CALL)
            assert reply.status == 502
            assert b"it may have begun there" in reply.body
            # What was never sent may still go elsewhere.
            await broken.stop()
            call = asyncio.create_task(house.post(CALL))
            await until(lambda: any(service.waiting for service in house.table))
            house.serve("app/echo", good, repeatable=False)
            assert (await call).status == 200

    run(scenario)


def test_a_call_that_ends_each_replica_is_given_up() -> None:
    async def scenario() -> None:
        async with House(hold_s=TIMEOUT_S) as house:
            replica = await house.replica("r1", resets)
            house.serve("app/echo", replica)
            reply = await house.post(CALL)
            assert reply.status == 502
            assert len(replica.requests) == 4

    run(scenario)


@pytest.mark.parametrize("status", [421, 503])
def test_a_replica_that_takes_no_call_costs_none(status: int) -> None:
    async def turns_away(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer_of(b"not me", status))

    async def scenario() -> None:
        async with House() as house:
            one, other = await house.replica("r1", turns_away), await house.replica("r2")
            house.serve("app/echo", one, other, repeatable=False)
            replies = [await house.post(CALL) for _ in range(10)]
            assert {reply.body for reply in replies} == {b"r2"}

    run(scenario)


def test_a_replica_with_errors_in_a_row_is_left_out_while_another_has_none() -> None:
    async def fails(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer_of(b"no", 500))

    async def scenario() -> None:
        async with House() as house:
            bad, good = await house.replica("r1", fails), await house.replica("r2")
            house.serve("app/echo", bad, good)
            statuses = [(await house.post(CALL)).status for _ in range(60)]
            assert statuses.count(500) == 5
            assert set(statuses[-20:]) == {200}
            # Alone, it is better than nothing.
            house.serve("app/echo", bad)
            assert (await house.post(CALL)).status == 500

    run(scenario)


def test_the_less_busy_of_two_gets_the_call() -> None:
    async def scenario() -> None:
        async with House() as house:
            gate = Gate()
            slow, quick = await house.replica("r1", gate), await house.replica("r2")
            house.serve("app/echo", slow)
            call = asyncio.create_task(house.post(CALL))
            await until(lambda: slow.requests)
            house.serve("app/echo", slow, quick)
            for _ in range(20):
                assert (await house.post(CALL)).body == b"r2"
            gate.opened.set()
            assert (await call).body == b"r1"

    run(scenario)


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
        async with House(head_s=0.3, body_s=0.3) as house:
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


def test_too_many_calls_are_told_to_come_back() -> None:
    async def scenario() -> None:
        async with House(concurrency=3) as house:
            gate = Gate()
            replica = await house.replica("r1", gate)
            house.serve("app/echo", replica)
            calls = [asyncio.create_task(house.post(CALL)) for _ in range(3)]
            await until(lambda: len(replica.requests) == 3)
            reply = await house.post(CALL)
            assert (reply.status, "retry-after" in reply.headers) == (429, True)
            gate.opened.set()
            assert {(await call).status for call in calls} == {200}
            assert (await house.post(CALL)).status == 200

    run(scenario)


def test_a_deadline_is_kept_and_passed_on() -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica("r1", Gate())
            house.serve("app/echo", replica)
            reply = await house.post(CALL, b"{}", b"X-Rootward-Timeout: 0.3")
            assert reply.status == 504
            given = replica.raw.partition(b"x-rootward-timeout: ")[2].partition(b"\r\n")[0]
            assert 0 < float(given) <= 0.3
            assert (await house.post(CALL, b"{}", b"X-Rootward-Timeout: nan")).status == 400

    run(scenario)


def test_a_caller_that_leaves_ends_its_call_at_the_replica() -> None:
    async def scenario() -> None:
        async with House() as house:
            gate = Gate()
            replica = await house.replica("r1", gate)
            house.serve("app/echo", replica)
            caller = await house.connect()
            caller.send(post(CALL))
            await until(lambda: replica.requests)
            caller.close()
            (service,) = house.table
            await until(lambda: service.in_flight == 0)
            assert [each.in_flight for each in service.replicas.values()] == [0]
            gate.opened.set()
            await until(replica.writers[0].is_closing)

    run(scenario)


def test_draining_ends_what_is_under_way_and_takes_no_more() -> None:
    async def scenario() -> None:
        async with House() as house:
            gate = Gate()
            replica = await house.replica("r1", gate)
            house.serve("app/echo", replica)
            idle, busy = await house.connect(), await house.connect()
            busy.send(post(CALL))
            await until(lambda: replica.requests)
            closing = asyncio.create_task(house.door.close())
            assert await idle.rest() == b""
            with pytest.raises(OSError, match="onnect"):
                await house.connect()
            gate.opened.set()
            reply = await busy.reply()
            assert (reply.status, reply.headers["connection"]) == (200, "close")
            await closing

    run(scenario)


def test_answers_say_since_when_the_registry_is_away() -> None:
    async def scenario() -> None:
        async with House() as house:
            house.serve("app/echo", await house.replica())
            house.table.reached(is_reached=False)
            house.door.run_once(asyncio.get_running_loop().time())
            reply = await house.post(CALL)
            assert (reply.status, reply.headers["x-rootward-stale"]) == (200, "0")
            house.table.reached(is_reached=True)
            house.door.run_once(asyncio.get_running_loop().time())
            assert "x-rootward-stale" not in (await house.post(CALL)).headers

    run(scenario)


def test_old_clients_and_heads_are_answered() -> None:
    async def scenario() -> None:
        async with House() as house:
            house.serve("app/echo", await house.replica())
            caller = await house.connect()
            caller.send(post(CALL).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
            answer = await caller.rest()
            assert b"connection: close" in answer
            assert answer.endswith(b"r1")
            caller = await house.connect()
            caller.send(b"HEAD /services/nobody HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(TIMEOUT_S):
                assert b" 404 " in await caller.reader.readuntil(b"\r\n\r\n")
            caller.send(post(CALL))
            assert (await caller.reply()).body == b"r1"

    run(scenario)
