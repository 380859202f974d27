"""Requests that could be read in two ways are refused, and nothing of them reaches a replica."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootward.orchestrator.gateway.limits import Limits
from rootward.orchestrator.http.framing import (
    END,
    ChunkedBody,
    LengthBody,
    Malformed,
    read_request,
    read_response,
)
from tests.support.doors import House, post

BODY = b'{"args": []}'
L = b"Content-Length: %d\r\n" % len(BODY)
H = b"Host: localhost\r\n"
TARGET = b"/services/app/echo/call"
SMUGGLED = b"0\r\n\r\nGET /services/app/echo/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


def request(lines: bytes, body: bytes = BODY, target: bytes = TARGET) -> bytes:
    return b"POST " + target + b" HTTP/1.1\r\n" + lines + b"\r\n" + body


HOSTILE = {
    "length and chunks": request(H + L + b"Transfer-Encoding: chunked\r\n", SMUGGLED),
    "chunks and length": request(H + b"Transfer-Encoding: chunked\r\n" + L, SMUGGLED),
    "two lengths": request(H + L + b"Content-Length: 5\r\n"),
    "the same length twice": request(H + L + L),
    "a list of lengths": request(H + b"Content-Length: 12, 12\r\n"),
    "a plus sign": request(H + b"Content-Length: +12\r\n"),
    "a minus sign": request(H + b"Content-Length: -1\r\n"),
    "an underscore": request(H + b"Content-Length: 1_2\r\n"),
    "a length in hexadecimal": request(H + b"Content-Length: 0xc\r\n"),
    "an unknown coding": request(H + b"Transfer-Encoding: gzip, chunked\r\n", SMUGGLED),
    "two codings": request(H + b"Transfer-Encoding: chunked\r\n" * 2, SMUGGLED),
    "chunks in HTTP/1.0": request(H + b"Transfer-Encoding: chunked\r\n", SMUGGLED).replace(
        b"HTTP/1.1", b"HTTP/1.0", 1
    ),
    "bare line feeds": request(H + L).replace(b"\r\n", b"\n"),
    "one bare line feed": request(H + b"X: a\nTransfer-Encoding: chunked\r\n" + L),
    "a NUL in a value": request(H + L + b"X: a\0b\r\n"),
    "a folded line": request(H + L + b"X: a\r\n b\r\n"),
    "a space before the colon": request(H + b"Content-Length : 12\r\n"),
    "the absolute form": request(H + L, target=b"http://evil.example/services/app/echo/call"),
    "an encoded slash": request(H + L, target=b"/services/app/..%2fapp/echo/call"),
    "a path of dots": request(H + L, target=b"/services/app/../app/echo/call"),
    "an encoded NUL": request(H + L, target=b"/services/app%00/echo/call"),
    "an empty part": request(H + L, target=b"/services//evil/../app/echo/call"),
    "no Host": request(L),
    "two Hosts": request(H + H + L),
    "a Host that is none": request(b"Host: a b\r\n" + L),
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\n" + H + b"\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n",
    "another version": request(H + L).replace(b"HTTP/1.1", b"HTTP/2.0"),
    "a chunk's extension": request(
        H + b"Transfer-Encoding: chunked\r\n", b"1;a=b\r\nx\r\n0\r\n\r\n"
    ),
    "a chunk that is longer": request(
        H + b"Transfer-Encoding: chunked\r\n", b"1\r\nxy\r\n0\r\n\r\n"
    ),
    "a trailer": request(H + b"Transfer-Encoding: chunked\r\n", b"0\r\nX: y\r\n\r\n"),
    "a signed chunk": request(H + b"Transfer-Encoding: chunked\r\n", b"+1\r\nx\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_could_be_read_in_two_ways_is_refused_and_reaches_nobody(data: bytes) -> None:
    async def scenario() -> None:
        async with House() as house:
            replica = await house.replica()
            house.serve("app/echo", replica)
            caller = await house.connect()
            # What follows on the connection must not be taken for a request either.
            caller.send(data + post("/services/app/echo/call", b"SMUGGLED"))
            answer = await caller.rest()
            assert answer[:12] in {b"HTTP/1.1 %d" % code for code in (400, 417, 501)}, answer
            assert answer.count(b"HTTP/1.1 ") == 1
            assert replica.raw == b""
            assert (await house.post("/services/app/echo/call")).status == 200

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + H + b"\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + H + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + H + b"X: " + b"y" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + H + b"X: " + b"y" * 40_000, 431),
        (b"a" * 9000, 414),
        (request(H + b"Content-Length: 70000000\r\n", b""), 413),
        (request(H + b"Expect: a-miracle\r\n" + L), 417),
    ],
)
def test_what_is_too_large_is_refused(data: bytes, status: int) -> None:
    async def scenario() -> None:
        async with House() as house:
            house.serve("app/echo", await house.replica())
            assert (await house.ask(data)).status == status

    asyncio.run(scenario())


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
@settings(max_examples=200, deadline=None)
def test_a_chunked_body_is_the_same_however_it_arrives(
    pieces: list[bytes], cuts: list[int]
) -> None:
    sent = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\nNEXT"
    body, found, at, turn = ChunkedBody(), b"", 0, 0
    rest: bytes | None = None
    while rest is None:
        size = cuts[turn % len(cuts)]
        piece, rest = body.feed(sent[at : at + size])
        found, at, turn = found + piece, at + size, turn + 1
    assert found == b"".join(pieces)
    assert b"NEXT".startswith(rest)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_noise_is_malformed_or_read_whole(noise: bytes) -> None:
    for read in (
        lambda: read_request(noise + END, Limits()),
        lambda: read_response(noise + END, b"GET"),
        lambda: ChunkedBody().feed(noise),
    ):
        with contextlib.suppress(Malformed):
            read()


def test_a_body_of_known_length_ends_where_it_says() -> None:
    body = LengthBody(5)
    assert body.feed(b"abc") == (b"abc", None)
    assert body.feed(b"deNEXT") == (b"de", b"NEXT")


def test_what_concerns_one_connection_is_dropped() -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Private\r\nX-Private: 1\r\n"
        b"Keep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Authorization: x\r\n"
        b"Cookie: secret\r\nAuthorization: Bearer t\r\nX-Kept: 1\r\n\r\n"
    )
    request = read_request(head, Limits())
    assert request.lines == [b"X-Kept: 1"]
    assert not request.keep_alive
