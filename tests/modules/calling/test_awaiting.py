"""Calls from async code: results, streams, errors, and a loop that goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from rootward.modules import ModuleBase, parallel, pipeline

mark: ContextVar[str] = ContextVar("mark", default="none")


class Stream(ModuleBase):
    def forward(self, count: int) -> Any:
        yield from range(count)


class LaterStream(ModuleBase):
    async def forward(self, count: int) -> Any:
        for index in range(count):
            await asyncio.sleep(0)
            yield index


class Plus(ModuleBase):
    async def forward(self, value: int) -> int:
        await asyncio.sleep(0)
        return value + 1


def test_a_blocking_flow_leaves_the_loop_free() -> None:
    released = threading.Event()

    def blocked(value: int) -> int:
        assert released.wait(30)
        return value

    async def main() -> list[int]:
        call = asyncio.ensure_future(_result(pipeline(blocked, parallel(abs, abs).aslist), -3))
        # Set by this loop: if the flow held it, this line would never be reached.
        asyncio.get_running_loop().call_soon(released.set)
        return await call  # type: ignore[no-any-return]

    assert asyncio.run(main()) == [3, 3]


async def _result(called: Any, *args: Any) -> Any:
    return await called.acall(*args)


@pytest.mark.parametrize("called", [Plus(), pipeline(Plus()), pipeline(lambda x: x + 1)])
def test_results_come_by_await(called: Any) -> None:
    assert asyncio.run(_result(called, 1)) == 2


@pytest.mark.parametrize("called", [Stream(), LaterStream(), pipeline(Stream())])
def test_streams_come_item_by_item(called: Any) -> None:
    async def main() -> tuple[list[int], list[int]]:
        at_once = [item async for item in called.acall(3)]
        return at_once, [item async for item in await called.acall(2)]

    assert asyncio.run(main()) == ([0, 1, 2], [0, 1])


def test_what_is_no_stream_is_an_error_in_async_for() -> None:
    async def main() -> None:
        async for _ in Plus().acall(1):
            pass

    with pytest.raises(TypeError, match="returned a int; await it"):
        asyncio.run(main())


def test_exceptions_arrive_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(_result(pipeline(lambda x: 1 / x), 0))
    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(_result(pipeline(lambda: next(iter(())))))


def test_a_stream_that_is_left_early_is_closed() -> None:
    closed: list[str] = []

    def stream() -> Any:
        try:
            yield 1
            yield 2
        finally:
            closed.append("closed")

    async def main() -> int:
        items = aiter(pipeline(stream).acall())
        first = await anext(items)
        await items.aclose()  # type: ignore[attr-defined]
        return int(first)

    assert asyncio.run(main()) == 1
    assert closed == ["closed"]


def test_the_callers_context_is_seen() -> None:
    async def main() -> Any:
        mark.set("mine")
        return await pipeline(mark.get).acall()

    assert asyncio.run(main()) == "mine"


def test_many_calls_run_at_once() -> None:
    everyone = threading.Barrier(8)

    async def main() -> list[int]:
        flow = pipeline(lambda: everyone.wait(30) * 0)
        return await asyncio.gather(*(_result(flow) for _ in range(8)))

    assert asyncio.run(main()) == [0] * 8
