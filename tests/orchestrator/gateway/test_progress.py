"""What a caller of a stream sees while what it calls is being woken."""

from __future__ import annotations

from typing import Any

import pytest

from rootward.orchestrator.gateway.frontend.responses import RefusedRequest
from rootward.orchestrator.gateway.limits import Limits
from rootward.orchestrator.gateway.proxy.progress import ProgressResponder, unchunked


class Caller:
    """Keeps what it is sent."""

    limits, address, stale_line, is_draining = Limits(), b"127.0.0.1", None, False

    def __init__(self) -> None:
        self.sent = b""
        self.ends: list[bool] = []

    def send(self, data: bytes) -> None:
        self.sent += data

    def done(self, *, keep_alive: bool) -> None:
        self.ends.append(keep_alive)

    def refuse(self, refusal: RefusedRequest) -> None:
        raise AssertionError(refusal)

    def cut(self) -> None:
        self.ends.append(False)

    def pause_body(self) -> None:
        self.ends.append(False)

    def resume_body(self) -> None:
        self.ends.append(False)


def told(*pieces: bytes) -> bytes:
    """Return the body that a caller gets of an answer in these pieces, after one comment."""
    caller: Any = Caller()
    progress = ProgressResponder(caller)
    progress.tell("s is being woken")
    for piece in pieces:
        progress.send(piece)
    progress.done(keep_alive=True)
    assert caller.ends == [True]
    head, _, body = caller.sent.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream")
    assert body.endswith(b"0\r\n\r\n")
    whole = unchunked(body)
    assert whole.startswith(b": s is being woken\n\n")
    return whole.removeprefix(b": s is being woken\n\n")


EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
JSON = b"content-type: application/json\r\n"


def test_events_are_passed_on_as_they_come() -> None:
    chunked = EVENTS + b"transfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
    assert told(chunked, b"9\r\ndata: 2\n\n\r\n", b"0\r\n\r\n") == b"data: 1\n\ndata: 2\n\n"
    whole = EVENTS + b"content-length: 18\r\n\r\ndata: 1\n\n"
    assert told(whole, b"data: 2\n\n") == b"data: 1\n\ndata: 2\n\n"


def test_a_plain_answer_becomes_one_event() -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + JSON + b'\r\n{"result": [1, 2]}'
    assert told(answer) == b"data: [1, 2]\n\nevent: end\ndata: {}\n\n"


@pytest.mark.parametrize("framed", [False, True])
def test_an_error_becomes_the_event_that_ends_a_stream(framed: bool) -> None:
    error = b'{"error": {"type": "ValueError", "message": "no"}}'
    lines, body = JSON, error
    if framed:
        lines += b"transfer-encoding: chunked\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(error), error)
    answer = b"HTTP/1.1 500 Internal Server Error\r\n" + lines + b"\r\n" + body
    assert told(answer) == b"event: error\ndata: " + error + b"\n\n"


def test_a_refusal_ends_the_stream_with_the_reason() -> None:
    caller: Any = Caller()
    ProgressResponder(caller).refuse(RefusedRequest(503, "nothing came up"))
    body = unchunked(caller.sent.partition(b"\r\n\r\n")[2])
    assert body.startswith(b"event: error\ndata: ")
    assert b"nothing came up" in body
    assert caller.ends == [True]
