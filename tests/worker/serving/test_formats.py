"""Compressed bodies: unpacked up to the limit of the plain form, refused with the reason."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from rootward.modules.rpc import envelope
from tests.support.replicas import KEY, TOKEN, ServedFunction, result

MIB = 1 << 20


def double(value: Any) -> Any:
    return value * 2


def request(body: bytes, *lines: str, path: str = "/") -> bytes:
    head = "\r\n".join(
        [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *lines, f"Content-Length: {len(body)}"]
    )
    return head.encode() + b"\r\n\r\n" + body


GZIP = "Content-Encoding: gzip"


@pytest.mark.parametrize("coding", [GZIP, "Content-Encoding: x-gzip", "content-encoding: GZIP"])
def test_gzip_is_unpacked(coding: str) -> None:
    with ServedFunction(double) as served:
        status, _, body = served.ask(request(gzip.compress(b"21"), coding))
        assert (status, result(body)) == (200, 42)


def test_members_in_a_row_are_one_body() -> None:
    with ServedFunction(double) as served:
        _, _, body = served.ask(request(gzip.compress(b"2") + gzip.compress(b"1"), GZIP))
        assert result(body) == 42


def test_signed_and_msgpack_bodies_may_be_packed_too() -> None:
    sealed = envelope.seal_call((21,), {}, KEY, TOKEN)
    with ServedFunction(double) as served:
        kind = f"Content-Type: {envelope.CALL_TYPE}"
        _, _, body = served.ask(request(gzip.compress(sealed), GZIP, kind, path="/call"))
        assert envelope.open_answer(body, KEY, envelope.answer_context(sealed)) == 42
        kind = "Content-Type: application/msgpack"
        _, _, body = served.ask(request(gzip.compress(b"\x15"), GZIP, kind))
        assert body == b"\x81\xa6result\x2a"


@pytest.mark.parametrize(
    ("body", "coding", "status", "why"),
    [
        (b"21", "br", 415, "content-encoding br isn't taken: send gzip"),
        (b"21", "gzip, gzip", 415, "isn't taken"),
        (b"21", "gzip", 400, "no gzip"),
        (gzip.compress(b"21" * 100)[:-9], "gzip", 400, "its end is missing"),
        (gzip.compress(b" " * (16 * MIB + 1)), "gzip", 413, "16,777,216 bytes unpacked"),
        (gzip.compress(b"{"), "gzip", 400, "no JSON"),
    ],
    ids=map(str, range(6)),
)
def test_what_cannot_be_unpacked_is_refused(
    body: bytes, coding: str, status: int, why: str
) -> None:
    with ServedFunction(double) as served:
        found, _, answer = served.ask(request(body, f"Content-Encoding: {coding}"))
        assert found == status
        assert why in json.loads(answer)["error"]["message"]


def test_the_largest_body_that_is_taken_unpacked_is_taken() -> None:
    with ServedFunction(double) as served:
        packed = gzip.compress(b"21" + b" " * (16 * MIB - 2))
        assert result(served.ask(request(packed, GZIP))[2]) == 42
