"""Calls between the current generation and its canary: shares, picks, and changes on the way."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from rootward.orchestrator.rollout.counting import unpack_pair
from tests.support.doors import CALL, Gate, House, Replica, answer_of, run, until

if TYPE_CHECKING:
    from rootward.orchestrator.gateway.proxy.table import RoutedService

ECHO = "app/echo"


def echo(house: House) -> RoutedService:
    (service,) = (each for each in house.table if each.view.path == ECHO)
    return service


def test_a_canary_gets_its_share_and_each_answer_says_whose_it_is() -> None:
    async def scenario() -> None:
        async with House() as house:
            old, new = await house.replica("old"), await house.replica("new")
            house.serve_two(
                house.view(ECHO, old), house.view(ECHO, new, generation=2), percent=25.0
            )
            replies = [await house.post(CALL) for _ in range(40)]
            assert sorted(reply.body for reply in replies) == [b"new"] * 10 + [b"old"] * 30
            told = {(each.body, each.headers["x-rootward-generation"]) for each in replies}
            assert told == {(b"old", "1"), (b"new", "2")}

    run(scenario)


def test_a_header_picks_the_generation_and_an_unknown_one_is_refused() -> None:
    async def scenario() -> None:
        async with House() as house:
            old, new = await house.replica("old"), await house.replica("new")
            house.serve_two(house.view(ECHO, old), house.view(ECHO, new, generation=2), percent=1.0)
            for number, body in ((b"1", b"old"), (b"2", b"new")):
                replies = [
                    await house.post(CALL, b"{}", b"X-Rootward-Generation: " + number)
                    for _ in range(5)
                ]
                assert {reply.body for reply in replies} == {body}
            reply = await house.post(CALL, b"{}", b"X-Rootward-Generation: 7")
            message = json.loads(reply.body)["error"]["message"]
            assert reply.status == 404
            assert "app has no generation 7 that takes calls of app/echo" in message
            assert "they go to app@1 and app@2" in message
            for wrong in (b"two", b"-1", b"", b"9" * 30):
                reply = await house.post(CALL, b"{}", b"X-Rootward-Generation: " + wrong)
                assert reply.status == 400
            assert len(old.requests) == 5

    run(scenario)


def test_without_a_ready_replica_a_canary_gets_no_call() -> None:
    async def scenario() -> None:
        async with House() as house:
            old = await house.replica("old")
            house.serve_two(house.view(ECHO, old), house.view(ECHO, generation=2), percent=99.0)
            assert {(await house.post(CALL)).body for _ in range(10)} == {b"old"}

    run(scenario)


def test_what_only_the_canary_serves_gets_all_its_calls_and_what_it_lacks_stays() -> None:
    async def scenario() -> None:
        async with House() as house:
            old, new = await house.replica("old"), await house.replica("new")
            house.serve_two(
                house.view("app/gone", old),
                house.view("app/new", new, generation=2),
                1.0,
                house.view("app/new", new, generation=2),
            )
            assert {(await house.post("/services/app/new")).body for _ in range(5)} == {b"new"}
            assert {(await house.post("/services/app/gone")).body for _ in range(5)} == {b"old"}

    run(scenario)


def test_a_call_that_waits_for_the_canary_goes_on_with_it_when_it_is_promoted() -> None:
    async def scenario() -> None:
        async with House() as house:
            old, new = await house.replica("old"), await house.replica("new")
            house.serve_two(house.view(ECHO, old), house.view(ECHO, generation=2), percent=50.0)
            beside = echo(house).canary
            assert beside is not None
            waiting = asyncio.create_task(house.post(CALL, b"{}", b"X-Rootward-Generation: 2"))
            await until(lambda: beside.waiting)
            house.table.put("app", [house.view(ECHO, new, generation=2)])
            assert (await waiting).body == b"new"
            assert (beside.in_flight, echo(house).in_flight) == (0, 0)

    run(scenario)


def test_a_call_that_waits_for_the_canary_is_not_lost_when_it_is_rolled_back() -> None:
    """Its only replica has ended, and what is current takes over."""

    async def scenario() -> None:
        async with House() as house:
            old, new = await house.replica("old"), await house.replica("new")
            await new.stop()
            house.serve_two(
                house.view(ECHO, old), house.view(ECHO, new, generation=2), percent=50.0
            )
            beside = echo(house).canary
            assert beside is not None
            calls = [asyncio.create_task(house.post(CALL)) for _ in range(4)]
            await until(lambda: len(beside.waiting) == 2)
            house.serve(ECHO, old)
            assert [(await call).body for call in calls] == [b"old"] * 4
            assert (beside.in_flight, echo(house).in_flight) == (0, 0)

    run(scenario)


def test_a_call_that_picked_a_generation_is_not_sent_to_another() -> None:
    async def scenario() -> None:
        async with House() as house:
            old = await house.replica("old")
            house.serve_two(house.view(ECHO, old), house.view(ECHO, generation=2), percent=10.0)
            beside = echo(house).canary
            assert beside is not None
            waiting = asyncio.create_task(house.post(CALL, b"{}", b"X-Rootward-Generation: 2"))
            await until(lambda: beside.waiting)
            house.serve(ECHO, old)
            reply = await waiting
            assert reply.status == 404
            assert "generation 2 takes calls no more" in json.loads(reply.body)["error"]["message"]
            assert old.requests == []

    run(scenario)


def test_calls_under_way_in_a_canary_end_there_when_it_is_rolled_back() -> None:
    async def scenario() -> None:
        gate = Gate()
        async with House() as house:
            old, new = await house.replica("old"), await house.replica("new", gate)
            house.serve_two(
                house.view(ECHO, old), house.view(ECHO, new, generation=2), percent=50.0
            )
            call = asyncio.create_task(house.post(CALL, b"{}", b"X-Rootward-Generation: 2"))
            await until(lambda: new.requests)
            house.serve(ECHO, old)
            gate.opened.set()
            assert (await call).body == b"new"

    run(scenario)


def test_calls_are_counted_by_generation_and_errors_of_the_caller_are_none() -> None:
    async def broken(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
        del replica
        status = 400 if b"wrong" in request else 500
        writer.write(answer_of(b"{}", status))

    async def scenario() -> None:
        async with House() as house:
            old, new = await house.replica("old"), await house.replica("new", broken)
            house.serve_two(
                house.view(ECHO, old), house.view(ECHO, new, generation=2), percent=50.0
            )
            for body in (b"{}", b"{}", b"wrong", b"wrong"):
                await house.post(CALL, body, b"X-Rootward-Generation: 2")
            await house.post(CALL, b"{}", b"X-Rootward-Generation: 1")
            (report,) = house.table.counting.reports()
            pair = unpack_pair(report.counted)
            assert (report.name, report.generation) == ("app", 2)
            assert (pair.canary.calls, pair.canary.errors) == (4, 2)
            assert (pair.current.calls, pair.current.errors) == (1, 0)

    run(scenario)
