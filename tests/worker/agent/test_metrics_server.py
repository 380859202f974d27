"""What tells an agent's metrics answers two paths, names of this machine, and nobody slowly."""

from __future__ import annotations

import asyncio

import pytest

from rootward.orchestrator.settings import SettingsError
from rootward.worker.agent.metrics_server import exposed


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n", b"200"),
        (b"GET /metrics?x=1 HTTP/1.1\r\nAccept: */*\r\nhost: localhost\r\n\r\n", b"200"),
        (b"GET /healthz HTTP/1.0\r\nHost: [::1]:80\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"\0\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"403"),
        (b"GET /metrics HTTP/1.1\r\nHost: 127.evil.example\r\n\r\n", b"403"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"403"),
    ],
)
def test_who_may_ask_what(request_: bytes, status: bytes) -> None:
    async def scenario() -> bytes:
        async with exposed("127.0.0.1", 0, lambda: "one 1\n") as port:
            return await ask(port, request_)

    answer = asyncio.run(scenario())
    assert answer.split(b" ")[1] == status
    assert (b"one 1" in answer) == (status == b"200" and b"/metrics" in request_)


def test_head_has_the_head_alone() -> None:
    async def scenario() -> bytes:
        async with exposed("127.0.0.1", 0, lambda: "one 1\n") as port:
            return await ask(port, b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")

    head, _, body = asyncio.run(scenario()).partition(b"\r\n\r\n")
    assert b"content-length: 6" in head
    assert body == b""


def test_a_head_without_an_end_is_cut() -> None:
    async def scenario() -> bytes:
        async with exposed("127.0.0.1", 0, lambda: "") as port:
            return await ask(port, b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 20_000)

    try:
        assert asyncio.run(scenario()) == b""
    except ConnectionResetError:
        # Closed with bytes unread: some kernels say so.
        return


def test_a_port_that_is_taken_is_a_setting_that_cant_be_meant() -> None:
    async def scenario() -> None:
        async with exposed("127.0.0.1", 0, lambda: "") as port:
            with pytest.raises(SettingsError, match="ROOTWARD_METRICS_PORT"):
                async with exposed("127.0.0.1", port, lambda: ""):
                    pass

    asyncio.run(scenario())
