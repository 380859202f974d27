"""A line answers in order, and whatever goes wrong on it is told as its end."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from rootward.orchestrator.store import line as line_module
from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.line import Line, LineDown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def asked(line: Line, *command: str | bytes) -> asyncio.Future[Any]:
    """Ask, and return what is told; LineDown is raised."""
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def told(said: Any) -> None:
        if isinstance(said, LineDown):
            answer.set_exception(said)
        else:
            answer.set_result(said)

    line.ask(command, told)
    return answer


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
        answers = [asked(line, "ECHO", text) for text in (b"one", large, b"three")]
        await line.until_quiet()
        return [answer.result() for answer in answers]

    assert on_a_line(redis_url, act) == [b"one", large, b"three"]


def test_an_error_is_the_end_of_the_line(redis_url: str) -> None:
    async def act(line: Line) -> None:
        with pytest.raises(LineDown):
            await asked(line, "NOSUCHCOMMAND")
        assert not line.is_open
        with pytest.raises(LineDown):
            await asked(line, "PING")

    on_a_line(redis_url, act)


def test_a_line_that_answers_too_late_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "PATIENCE_S", 0.05)

    async def main() -> None:
        ours, theirs = socket.socketpair()
        line = Line(asyncio.get_running_loop(), ours)
        first = asked(line, "PING")
        theirs.recv(100)
        theirs.send(b"+PONG\r\n")
        assert await first == b"PONG"
        second = asked(line, "PING")
        with pytest.raises(LineDown):
            await asyncio.wait_for(second, 20)
        assert not line.is_open
        theirs.close()

    asyncio.run(main())


def test_a_server_that_goes_fails_all_that_was_asked() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        line = Line(asyncio.get_running_loop(), ours)
        answers = [asked(line, "PING") for _ in range(2)]
        theirs.close()
        results = await asyncio.gather(*answers, return_exceptions=True)
        assert [type(result) for result in results] == [LineDown, LineDown]

    asyncio.run(main())
