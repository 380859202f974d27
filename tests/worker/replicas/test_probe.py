"""A probe always ends with an answer, whatever the other side does."""

from __future__ import annotations

import asyncio

import pytest

from rootward.worker.replicas.probe import Answer, probe


def ask(reply: bytes, *, timeout_s: float = 5.0) -> tuple[Answer, bytes]:
    """Probe a server that reads the request and writes `reply`; return also what it read."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply)
        if not reply:
            # Until the other side has had enough.
            await reader.read()
        writer.close()
        await writer.wait_closed()
        done.set()

    done = asyncio.Event()

    async def main() -> Answer:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            heard_back = await probe("127.0.0.1", port, "the-token", timeout_s=timeout_s)
            await done.wait()
            return heard_back
        finally:
            server.close()

    return asyncio.run(main()), b"".join(heard)


def test_only_200_is_ready_and_the_token_goes_along() -> None:
    answer, heard = ask(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert answer.is_ready
    assert b"X-Rootward-Token: the-token\r\n" in heard
    answer, _ = ask(b"HTTP/1.1 503 Service Unavailable\r\n\r\nstill loading")
    assert (answer.is_ready, answer.status) == (False, 503)
    assert "still loading" in answer.detail


@pytest.mark.parametrize("reply", [b"nonsense\r\n\r\n", b"HTTP/1.1 two hundred\r\n\r\n", b"HT"])
def test_what_is_no_http_is_no_answer(reply: bytes) -> None:
    assert ask(reply)[0].status is None


def test_silence_ends_at_the_time_out() -> None:
    answer, _ = ask(b"", timeout_s=0.05)
    assert answer.status is None
    assert "0.05 s" in answer.detail


def test_nobody_there_is_no_answer() -> None:
    assert asyncio.run(probe("127.0.0.1", 1, "t")).status is None
