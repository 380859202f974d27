"""A line answers in order, and whatever goes wrong on it is told as its end."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.connection import Clients
from orchestrator.line import Line, LineDown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def on_a_line(redis_url: str, act: Callable[[Line], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        clients = Clients(redis_url, name="rootward-tests")
        sock = clients.plain_socket()
        assert sock is not None
        line = Line(asyncio.get_running_loop(), sock)
        try:
            async with asyncio.timeout(20):
                return await act(line)
        finally:
            line.close()
            clients.close()

    return asyncio.run(main())


def test_answers_come_in_order_however_large(redis_url: str) -> None:
    large = b"x" * (8 << 20)

    async def act(line: Line) -> list[Any]:
        asked = [line.ask(("ECHO", text)) for text in (b"one", large, b"three")]
        return list(await asyncio.gather(*asked))

    assert on_a_line(redis_url, act) == [b"one", large, b"three"]


def test_an_error_is_the_end_of_the_line(redis_url: str) -> None:
    async def act(line: Line) -> None:
        with pytest.raises(LineDown):
            await line.ask(("NOSUCHCOMMAND",))
        assert not line.is_open
        with pytest.raises(LineDown):
            await line.ask(("PING",))

    on_a_line(redis_url, act)


def test_a_call_that_is_given_up_ends_the_line(redis_url: str) -> None:
    """Else its answer would be taken for that of the next call."""

    async def act(line: Line) -> None:
        asked = asyncio.ensure_future(line.ask(("PING",)))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait({asked})
        assert not line.is_open

    on_a_line(redis_url, act)


def test_a_server_that_goes_fails_all_that_was_asked() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        line = Line(asyncio.get_running_loop(), ours)
        asked = [asyncio.ensure_future(line.ask(("PING",))) for _ in range(2)]
        await asyncio.sleep(0)
        theirs.close()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(result) for result in results] == [LineDown, LineDown]

    asyncio.run(main())
