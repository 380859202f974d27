"""Each limit of docs/gateway.md: the number that stands there is the one that holds."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.gateway.limits import KIB, MIB, Limits
from rootward.orchestrator.gateway.proxy import budget, repetition, replica
from rootward.worker.serving import formats
from tests.support.doors import CALL, TIMEOUT_S, TOKEN, Gate, House, post, run, until

if TYPE_CHECKING:
    from tests.support.doors import Caller

DOCS = Path(__file__).parents[3] / "docs" / "gateway.md"
LIMITS = Limits()
WORDS = {3: "three", 5: "five", 10: "ten", 0.2: "a fifth", 2.0: "two"}
HOST = b"Host: localhost\r\n"


@pytest.mark.parametrize(
    "sentence",
    [
        f"| {LIMITS.line_bytes // KIB} KiB, {LIMITS.head_bytes // KIB} KiB, {LIMITS.headers} |",
        f"| {LIMITS.body_bytes // MIB} MiB here; the replica takes ",
        f"takes {formats.JSON_BYTES // MIB} MiB of JSON, {formats.MSGPACK_BYTES // MIB} MiB of msg",
        f"| {LIMITS.head_s:g} s; {LIMITS.body_s:g} s and {LIMITS.body_rate // KIB} KiB/s |",
        f"an answer that nobody reads | {LIMITS.idle_s:g} s |",
        f"| connections | {LIMITS.connections:,} |",
        f"neither side says anything | {LIMITS.tunnel_idle_s:,.0f} s |",
        f"`--hold` seconds ({LIMITS.hold_s:g})",
        f"`--grace` seconds ({LIMITS.grace_s:g})",
        f"`--concurrency` calls of one service ({LIMITS.concurrency:,})",
        f"the call is sent again, up to {WORDS[repetition.ATTEMPTS - 1]} times",
        f"its body was above {LIMITS.replay_bytes // MIB} MiB and so streamed",
        f"at most {WORDS[budget.SHARE]} of the calls are repeated",
        f"or {WORDS[round(budget.FLOOR / budget.WINDOW_S)]} a second",
        f"answered 5xx {WORDS[replica.ERRORS_IN_ROW]} times in a row is left out",
        f"is left out for {WORDS[replica.ERRORS_PAUSE_S]} seconds",
    ],
    ids=map(str, range(16)),
)
def test_the_documented_number_is_the_one_in_force(sentence: str) -> None:
    text = re.sub(r"\s+", " ", DOCS.read_text())
    assert sentence in text
    assert LIMITS.idle_s == LIMITS.unread_s


def request(line: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([line, b"Host: localhost", *headers, b"", b""])


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(b"GET /" + b"a" * (8 * KIB - 1) + b" HTTP/1.1"), 500),
        (request(b"GET /" + b"a" * (8 * KIB) + b" HTTP/1.1"), 414),
        (request(b"GET /no HTTP/1.1", *(b"a: %d" % n for n in range(99))), 500),
        (request(b"GET /no HTTP/1.1", *(b"a: %d" % n for n in range(100))), 431),
        (request(b"GET /no HTTP/1.1", b"a: " + b"a" * (31 * KIB)), 500),
        (request(b"GET /no HTTP/1.1", b"a: " + b"a" * (32 * KIB)), 431),
        (request(b"POST /services/app/echo HTTP/1.1", b"Content-Length: %d" % (64 * MIB + 1)), 413),
        (request(b"POST /services/app/echo HTTP/1.1", b"Content-Length: %d" % (65 * MIB)), 413),
    ],
    ids=map(str, range(8)),
)
def test_sizes(data: bytes, status: int) -> None:
    """What is taken here is 500, because this house has no pages."""

    async def scenario() -> None:
        async with House() as house:
            house.serve("app/echo", await house.replica("r1"))
            caller = await house.connect()
            caller.send(data)
            assert (await caller.reply()).status == status

    run(scenario)


def test_the_largest_body_is_asked_for() -> None:
    async def scenario() -> None:
        async with House() as house:
            house.serve("app/echo", await house.replica("r1"))
            caller = await house.connect()
            line = b"POST /services/app/echo HTTP/1.1"
            caller.send(request(line, b"Content-Length: %d" % (64 * MIB), b"Expect: 100-continue"))
            assert (await caller.reply()).status == 100

    run(scenario)


async def at(house: House, seconds: float, caller: Caller) -> bytes | None:
    """Let the round of that time look; return what the connection ended with, None if it didn't."""
    house.door.run_once(asyncio.get_running_loop().time() + seconds)
    try:
        async with asyncio.timeout(0.2):
            return await caller.rest()
    except TimeoutError:
        return None


@pytest.mark.parametrize(
    ("sent", "limit_s", "answer"),
    [
        (b"GET / HT", 10.0, b"HTTP/1.1 408"),
        (
            b"POST /services/app/echo HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n",
            10.0,
            b"HTTP/1.1 408",
        ),
        (
            b"POST /services/app/echo HTTP/1.1\r\n"
            + HOST
            + b"Content-Length: 99999\r\n\r\n"
            + b"a" * (5 * KIB),
            15.0,
            b"HTTP/1.1 408",
        ),
    ],
    ids=["head", "body", "rate"],
)
def test_times_of_a_request(sent: bytes, limit_s: float, answer: bytes) -> None:
    async def scenario() -> None:
        for seconds, expected in ((limit_s - 0.5, None), (limit_s + 0.1, answer)):
            async with House() as house:
                house.serve("app/echo", await house.replica("r1"))
                caller = await house.connect()
                caller.send(sent)
                # What was sent has been read when this is answered.
                other = await house.connect()
                other.send(request(b"GET /healthz HTTP/1.1"))
                await other.reply()
                found = await at(house, seconds, caller)
                assert found is expected or (found or b"").startswith(expected or b"nothing")

    run(scenario)


def test_a_connection_without_a_request_is_closed() -> None:
    async def scenario() -> None:
        for seconds, is_open in ((59.5, True), (60.1, False)):
            async with House() as house:
                house.serve("app/echo", await house.replica("r1"))
                caller = await house.connect()
                caller.send(post(CALL))
                assert (await caller.reply()).status == 200
                assert (await at(house, seconds, caller) is None) is is_open

    run(scenario)


def test_places_and_calls_are_limited() -> None:
    async def scenario() -> None:
        async with House(connections=1, concurrency=1, hold_s=TIMEOUT_S) as house:
            gate = Gate()
            house.serve("app/echo", await house.replica("r1", gate))
            caller, late = await house.connect(), await house.connect()
            assert (await late.reply()).status == 503
            caller.send(post(CALL))
            await until(lambda: any(service.in_flight == 1 for service in house.table))
            gate.opened.set()
            assert (await caller.reply()).status == 200

    run(scenario)


@pytest.mark.parametrize(("size", "status"), [(MIB, 200), (2 * MIB, 502)], ids=["whole", "above"])
def test_a_body_that_was_read_whole_can_be_sent_again(size: int, status: int) -> None:
    async def scenario() -> None:
        async with House(hold_s=TIMEOUT_S) as house:
            first, second = await house.replica("r1", Gate()), await house.replica("r2")
            house.serve("app/echo", first)
            caller = await house.connect()
            head = b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n"
            caller.send(head % (CALL.encode(), HOST, size) + b" " * size)
            await until(lambda: len(first.requests) == 1)
            house.serve("app/echo", second)
            await first.stop()
            assert (await caller.reply()).status == status

    run(scenario)


def test_compressed_bodies_of_the_api_are_refused_in_clear_words() -> None:
    async def scenario() -> None:
        async with House() as house:
            caller = await house.connect()
            lines = (b"Content-Length: 2", b"Content-Encoding: gzip", b"Authorization: Bearer %b")
            line = b"POST /api/deployments/a/stop HTTP/1.1"
            caller.send(request(line, *lines) % TOKEN.encode() + b"{}")
            reply = await caller.reply()
            assert (reply.status, b"without a content-encoding" in reply.body) == (415, True)

    run(scenario)


def test_calls_that_are_held_for_a_service_end_when_it_is_removed() -> None:
    """Not at the end of their hold: that would outlast this test."""

    async def scenario() -> None:
        async with House(hold_s=3600.0) as house:
            house.serve("app/echo")
            calls = [asyncio.create_task(house.post(CALL)) for _ in range(3)]
            await until(lambda: sum(len(service.waiting) for service in house.table) == 3)
            house.table.put("app", [])
            replies = [await each for each in calls]
            assert {reply.status for reply in replies} == {503}
            assert b"served no more" in replies[0].body

    run(scenario)


def test_free_repeats_are_as_many_as_the_calls_that_were_lost() -> None:
    found = budget.Budget()
    while found.spend(100.0):
        pass
    found.lost(3, 100.0)
    assert [found.spend(100.5) for _ in range(5)] == [True] * 3 + [False] * 2
    found.lost(3, 101.0)
    assert not found.spend(102.1), "they are taken at once, or never"
