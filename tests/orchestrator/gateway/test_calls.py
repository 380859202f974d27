"""Calls through the gateway's door: where they lead, what they carry, what limits them."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.doors import CALL, TIMEOUT_S, Gate, House, Replica, answer_of, post, run, until


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
