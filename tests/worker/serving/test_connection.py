"""Connections to a replica: strict heads, order, limits, streams to slow readers, time, drain."""

from __future__ import annotations

import asyncio
import json
import threading
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.replicas import TIMEOUT_S, ServedFunction, post, result
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def double(value: Any) -> Any:
    return value * 2


def kind(body: bytes) -> str:
    return str(json.loads(body)["error"]["type"])


def test_connection_is_kept_and_answers_come_in_order() -> None:
    """Also when all requests come at once, calls and pages mixed, cut anywhere."""
    data = post(1) + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + post(2) + post("a")
    for size in (len(data), 1, 7, 50):
        with ServedFunction(double) as served, served.connection() as connection:
            for start in range(0, len(data), size):
                connection.send(data[start : start + size])
            bodies = [connection.answer()[2] for _ in range(4)]
            assert [result(bodies[0]), result(bodies[2]), result(bodies[3])] == [2, 4, "aa"]
            assert bodies[1] == b'{"status": "ok"}'


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 400),
        (b"GET http://x/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +2\r\n\r\n{}", 400),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
            400,
        ),
        (
            post(1, "Transfer-Encoding: chunked"),
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * (64 << 10) + b"\r\n\r\n", 431),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_and_ends_the_connection(
    request_: bytes, status: int
) -> None:
    with ServedFunction(double) as served, served.connection() as connection:
        connection.send(request_)
        found, headers, _ = connection.answer()
        assert (found, headers["connection"]) == (status, "close")
        assert connection.is_closed()
    assert served.metrics.calls == 0


def test_body_in_chunks_is_taken() -> None:
    with ServedFunction(double) as served:
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        _, _, body = served.ask(head + b"1\r\n2\r\n1\r\n1\r\n0\r\n\r\n")
        assert result(body) == 42


def test_expectation_is_met_before_the_body_comes() -> None:
    request = post(21, "Expect: 100-continue")
    with ServedFunction(double) as served, served.connection() as connection:
        connection.send(request[:-2])
        assert connection.head()[0] == 100
        connection.send(request[-2:])
        assert result(connection.answer()[2]) == 42


def test_head_and_old_versions_are_answered_in_their_way() -> None:
    with ServedFunction(double) as served:
        with served.connection() as connection:
            connection.send(b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + post(1))
            assert connection.answer(has_body=False)[0] == 200
            assert result(connection.answer()[2]) == 2
        with served.connection() as connection:
            connection.send(post(1).replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert result(connection.answer()[2]) == 2
            assert connection.is_closed()


def test_refused_call_leaves_the_connection_when_its_body_was_read() -> None:
    with ServedFunction(double) as served, served.connection() as connection:
        connection.send(post(1, "X-Rootward-Token: another") + post(1, path="/no") + post(1))
        assert [connection.answer()[0] for _ in range(3)] == [421, 404, 200]
    assert served.metrics.refused == 2


def test_caller_that_sends_too_much_hears_why() -> None:
    with ServedFunction(double) as served, served.connection() as connection:
        connection.send(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (20 << 20)
        )
        for _ in range(20):
            connection.send(b" " * (1 << 20))
        assert connection.answer()[0] == 413
        assert connection.is_closed()


def test_whole_answer_that_the_socket_cannot_take_at_once_is_whole() -> None:
    with ServedFunction(lambda size: "a" * size) as served, served.connection() as connection:
        for size in (8 << 20, 3, 8 << 20):
            connection.send(post(size))
            assert len(result(connection.answer()[2])) == size


def events(body: bytes) -> list[bytes]:
    return [line[6:] for line in body.splitlines() if line.startswith(b"data: ")]


async def later_numbers(count: int) -> AsyncIterator[str]:
    for number in range(count):
        yield f"{number}" * 1000


def numbers(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"{number}" * 1000


@pytest.mark.parametrize("target", [numbers, later_numbers])
def test_stream_waits_for_a_slow_reader_who_gets_all_of_it(target: Any) -> None:
    made = 0

    def counted(count: int) -> Any:
        nonlocal made
        inner = target(count)
        if hasattr(inner, "__anext__"):

            async def later() -> AsyncIterator[str]:
                nonlocal made
                async for item in inner:
                    made += 1
                    yield item

            return later()

        def now() -> Iterator[str]:
            nonlocal made
            for item in inner:
                made += 1
                yield item

        return now()

    with (
        ServedFunction(counted, concurrency=1) as served,
        served.connection() as slow,
        served.connection() as other,
    ):
        slow.send(post(20_000, "Accept: text/event-stream"))
        slow.head()
        wait_until(lambda: served.metrics.in_flight == 1 and _is_parked(served), description="full")
        assert made < 20_000
        # Its thread is free meanwhile.
        other.send(post(2, "Accept: text/event-stream"))
        assert len(events(other.answer()[2])) == 3
        assert len(events(b"".join(slow.chunks()))) == 20_001


def _is_parked(served: ServedFunction) -> bool:
    return any(caller._parked for caller in list(served.listener._callers))


def test_generator_is_closed_when_its_reader_has_gone() -> None:
    closed = threading.Event()

    def endless(value: int) -> Iterator[int]:
        try:
            while True:
                yield value
        finally:
            closed.set()

    with ServedFunction(endless) as served:
        with served.connection() as connection:
            connection.send(post(1, "Accept: text/event-stream"))
            connection.head()
            # One that hasn't begun has nothing to close.
            next(connection.chunks())
        assert closed.wait(TIMEOUT_S)
        wait_until(lambda: served.metrics.in_flight == 0, description="the call has ended")


def test_call_whose_time_is_over_is_not_begun() -> None:
    gate, begun = threading.Event(), list[str]()

    def wait(value: str) -> str:
        begun.append(value)
        gate.wait(TIMEOUT_S)
        return value

    with (
        ServedFunction(wait, concurrency=1) as served,
        served.connection() as first,
        served.connection() as second,
    ):
        first.send(post("first"))
        wait_until(lambda: begun == ["first"], description="the only thread is taken")
        second.send(post("second", "X-Rootward-Timeout: 0.01"))
        wait_until(lambda: served.metrics.in_flight == 2, description="the second one waits")
        threading.Timer(0.05, gate.set).start()
        assert result(first.answer()[2]) == "first"
        status, _, body = second.answer()
        assert (status, kind(body)) == (504, "Timeout")
        assert begun == ["first"]
        second.send(post("third", "X-Rootward-Timeout: 20"))
        assert result(second.answer()[2]) == "third"


@pytest.mark.parametrize("given", ["nan", "-1", "soon", "1e9"])
def test_time_that_is_no_number_of_seconds_is_refused(given: str) -> None:
    with ServedFunction(double) as served:
        status, _, body = served.ask(post(1, f"X-Rootward-Timeout: {given}"))
        assert (status, kind(body)) == (400, "BadRequest")


def test_coroutine_is_cancelled_when_its_time_is_over() -> None:
    cancelled = threading.Event()

    async def hang(value: int) -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return value

    with ServedFunction(hang) as served:
        status, _, body = served.ask(post(1, "X-Rootward-Timeout: 0.05"))
        assert (status, kind(body)) == (504, "Timeout")
        assert cancelled.is_set()


def test_time_out_of_the_module_itself_is_its_own_error() -> None:
    async def give_up(value: int) -> int:
        raise TimeoutError("mine")

    with ServedFunction(give_up) as served:
        status, _, body = served.ask(post(1, "X-Rootward-Timeout: 20"))
        assert (status, kind(body)) == (500, "TimeoutError")


def test_drain_ends_with_the_last_call_and_tells_how_many_are_left() -> None:
    gate, begun = threading.Event(), threading.Event()

    def wait(value: str) -> str:
        begun.set()
        gate.wait(TIMEOUT_S)
        return value

    with (
        ServedFunction(wait) as served,
        served.connection() as busy,
        served.connection() as idle,
    ):
        idle.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.answer()[0] == 200
        busy.send(post("long"))
        assert begun.wait(TIMEOUT_S)
        served.drain(600)
        assert idle.is_closed()
        with pytest.raises(OSError):
            served.ask(post("new"))
        assert served.calls == [1, 1]
        gate.set()
        status, headers, body = busy.answer()
        assert (status, headers["connection"], result(body)) == (200, "close", "long")
        served.join()
        assert served.calls[-1] == 0


def test_drain_that_is_shortened_cuts_what_is_left() -> None:
    gate, begun = threading.Event(), threading.Event()

    def wait(value: str) -> str:
        begun.set()
        gate.wait(TIMEOUT_S)
        return value

    try:
        with ServedFunction(wait) as served, served.connection() as busy:
            busy.send(post("long"))
            assert begun.wait(TIMEOUT_S)
            served.drain(600)
            served.drain(0)
            assert busy.is_closed()
            gate.set()
            served.join()
    finally:
        gate.set()


def test_slow_head_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rootward.worker.serving.connection.HEAD_S", 0.01)
    monkeypatch.setattr("rootward.worker.serving.server.ROUND_S", 0.01)
    with ServedFunction(double) as served, served.connection() as connection:
        connection.send(b"POST / HTT")
        assert connection.answer()[0] == 408
        assert connection.is_closed()


@pytest.mark.parametrize("headers", [(), ("Connection: close",)])
def test_answer_to_a_slow_reader_is_whole_and_to_none_is_cut(
    monkeypatch: pytest.MonkeyPatch, headers: tuple[str, ...]
) -> None:
    monkeypatch.setattr("rootward.worker.serving.connection.IDLE_S", 0.5)
    monkeypatch.setattr("rootward.worker.serving.server.ROUND_S", 0.01)
    with ServedFunction(lambda size: "a" * size) as served:
        with served.connection() as slow:
            slow.send(post(64 << 20, *headers))
            wait_until(
                lambda: any(each._left for each in list(served.listener._callers)),
                description="its time was over, and it got more",
            )
            assert len(result(slow.answer()[2])) == 64 << 20
        with served.connection() as deaf:
            deaf.send(post(64 << 20, *headers))
            wait_until(lambda: served.metrics.calls == 2, description="answered")
            wait_until(lambda: not served.listener._callers, description="cut")


def test_call_is_not_cut_by_the_time_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rootward.worker.serving.server.ROUND_S", 0.01)
    gate, begun = threading.Event(), threading.Event()

    def wait(value: int) -> int:
        begun.set()
        assert gate.wait(TIMEOUT_S)
        return value

    with ServedFunction(wait) as served, served.connection() as connection:
        connection.send(post(1))
        assert begun.wait(TIMEOUT_S)
        (caller,) = served.listener._callers
        # As the thread of the call before may do it, a moment too late.
        caller.deadline = 0.0
        wait_until(lambda: caller.deadline == inf, description="the round has passed")
        gate.set()
        assert result(connection.answer()[2]) == 1


def test_nothing_runs_by_itself_while_nobody_is_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rootward.worker.serving.server.ROUND_S", 0.01)
    with ServedFunction(double) as served:
        served.ask(post(1))
        wait_until(lambda: served.listener._round is None, description="no timer is left")
