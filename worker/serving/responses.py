"""The bytes of a replica's answers: heads, chunks and errors, ready for the wire.

A whole answer is one piece, so that it leaves with one write. What every answer of a kind begins
with is made once.
"""

from __future__ import annotations

import functools
from typing import Final

from rootward.orchestrator.gateway.frontend.responses import status_line

from .formats import EVENTS_TYPE, JSON_TYPE, Refused, error_body

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
_CLOSE: Final = b"connection: close\r\n"


def whole(status: int, content_type: str, body: bytes, *, close: bool = False) -> bytes:
    """Return a whole answer."""
    more = _CLOSE if close else b""
    return b"%b%d\r\n%b\r\n%b" % (_beginning(status, content_type), len(body), more, body)


def headless(status: int, content_type: str, body: bytes, *, close: bool) -> bytes:
    """Return the answer to HEAD: all but the body."""
    answer = whole(status, content_type, body, close=close)
    return answer[: len(answer) - len(body)]


def refusal(refused: Refused, *, close: bool) -> bytes:
    """Return the answer that says why a request isn't served."""
    more = b"retry-after: 1\r\n" if refused.status == 503 else b""
    if close:
        more += _CLOSE
    body = error_body(refused)
    return b"%b%d\r\n%b\r\n%b" % (_beginning(refused.status, JSON_TYPE), len(body), more, body)


def stream_head(content_type: str, *, chunked: bool, close: bool) -> bytes:
    """Return the head of a stream; without chunks the end of the connection is its end."""
    more = b"cache-control: no-cache\r\n" if content_type == EVENTS_TYPE else b""
    if chunked:
        more += b"transfer-encoding: chunked\r\n"
    if close:
        more += _CLOSE
    return status_line(200) + b"content-type: %b\r\n%b\r\n" % (content_type.encode(), more)


def chunk(piece: bytes) -> bytes:
    """Return a piece of a stream as a chunk."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


@functools.lru_cache(maxsize=128)
def _beginning(status: int, content_type: str) -> bytes:
    return status_line(status) + b"content-type: %b\r\ncontent-length: " % content_type.encode()
