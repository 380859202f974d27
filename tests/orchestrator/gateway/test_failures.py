"""What the gateway does when replicas aren't there, die, refuse, fail or are busy."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.doors import (
    CALL,
    TIMEOUT_S,
    Gate,
    House,
    Replica,
    answer_of,
    post,
    resets,
    run,
    until,
)


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
