"""What is remembered of heads changes no answer, and is never more than a little."""

from __future__ import annotations

from functools import partial

import pytest

from rootward.orchestrator.gateway.limits import Limits
from rootward.orchestrator.http.framing import Malformed, Request, read_request
from rootward.orchestrator.http.head_cache import HeadCache


def cache() -> HeadCache[Request]:
    return HeadCache(partial(read_request, limits=Limits()))


HEAD = b"POST /services/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nAccept: */*\r\n\r\n"


def test_a_head_that_comes_again_is_a_request_of_its_own() -> None:
    heads = cache()
    first = heads.read(HEAD).again()
    first.keep_alive = False
    first.lines = [b"x: y"]
    again = heads.read(HEAD).again()
    assert again is not first
    assert again.keep_alive
    assert again.lines == [b"Accept: */*"]
    assert (again.method, again.target, again.length) == (b"POST", b"/services/a", 2)
    assert again.own == {b"host": b"x", b"content-length": b"2"}


def test_a_head_that_is_refused_is_refused_again() -> None:
    heads = cache()
    for _ in range(2):
        with pytest.raises(Malformed):
            heads.read(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")


def test_what_is_remembered_is_bounded() -> None:
    heads = cache()
    for number in range(5000):
        heads.read(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
    heads.read(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 2000 + b"\r\n\r\n")
    assert len(heads._known) <= 512
    assert all(len(head) <= 1024 for head in heads._known)


def test_what_is_not_to_be_kept_is_read_each_time() -> None:
    heads: HeadCache[list[bytes]] = HeadCache(lambda head: [head], lambda _: False)
    assert heads.read(HEAD) is not heads.read(HEAD)
    kept: HeadCache[list[bytes]] = HeadCache(lambda head: [head])
    assert kept.read(HEAD) is kept.read(HEAD)
