"""Where calls run, and for how long."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

from tests.support.replicas import ServedFunction, post, result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def kind(body: bytes) -> str:
    return str(json.loads(body)["error"]["type"])


async def double_later(value: Any) -> Any:
    return value * 2


def test_coroutines_answer_every_call_of_a_connection() -> None:
    """Also when one part of a call begins in its thread before the part before has left its own."""
    with ServedFunction(double_later) as served, served.connection() as connection:
        for number in range(300):
            connection.send(post(number))
            assert result(connection.answer()[2]) == 2 * number


async def threads_name(value: Any) -> Any:
    await asyncio.sleep(0)
    return threading.current_thread().name


async def each_later(value: Any) -> AsyncIterator[Any]:
    for number in range(value):
        await asyncio.sleep(0)
        yield number, threading.current_thread().name


def test_coroutines_run_on_the_loop_that_reads() -> None:
    events = "Accept: text/event-stream"
    with ServedFunction(threads_name) as served:
        _, _, body = served.ask(post(0))
        assert result(body) == served.thread_name
    with ServedFunction(each_later) as served:
        _, _, body = served.ask(post(2, events))
        assert body.count(served.thread_name.encode()) == 2


async def forever(value: Any) -> None:
    await asyncio.Event().wait()


async def forever_after_one(value: Any) -> AsyncIterator[Any]:
    yield value
    await asyncio.Event().wait()


def test_a_coroutine_is_cancelled_at_the_limit_of_a_call() -> None:
    with ServedFunction(forever, call_timeout=0.1) as served:
        status, _, body = served.ask(post(0))
        assert (status, kind(body)) == (504, "Timeout")
        assert b"call_timeout of 0.1 s" in body
    with ServedFunction(forever_after_one, call_timeout=0.1) as served:
        _, _, body = served.ask(post(0, "Accept: text/event-stream"))
        assert body.startswith(b"data: 0\n\nevent: error\n")
