"""What the gateway says by itself: whole answers as bytes, errors in the form that replicas use.

Every error is `{"error": {"type", "message"}}`; a message never holds what isn't escaped, because
it is JSON. Whether the connection stays open is the connection's own affair.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from .error_page import HEADERS, error_page

_PAGE_LINES: Final = [
    b"content-type: text/html; charset=utf-8",
    *(f"{k}: {v}".encode() for k, v in HEADERS.items() if k != "cache-control"),
]
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_TYPES: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    413: "TooLarge",
    414: "TooLarge",
    415: "UnsupportedMediaType",
    417: "ExpectationFailed",
    421: "Misdirected",
    429: "TooManyCalls",
    431: "TooLarge",
    500: "InternalError",
    501: "NotImplemented",
    502: "ReplicaLost",
    503: "Unavailable",
    504: "Timeout",
}


class RefusedRequest(Exception):
    """A request that the gateway answers with an error of its own."""

    def __init__(self, status: int, message: str, *lines: bytes) -> None:
        super().__init__(message)
        self.status, self.message, self.lines = status, message, lines

    def body(self) -> bytes:
        """Return the error as JSON."""
        kind = _TYPES.get(self.status, "Error")
        return json.dumps({"error": {"type": kind, "message": self.message}}).encode()


def status_line(status: int) -> bytes:
    """Return the first line of an answer."""
    return b"HTTP/1.1 %d %s\r\n" % (status, _REASONS.get(status, b"-"))


_STATUS_LINES: Final = {status: status_line(status) for status in range(100, 600)}


def head(status: int, lines: list[bytes]) -> bytes:
    """Return the head of an answer with these header lines."""
    return _STATUS_LINES[status] + b"\r\n".join([*lines, b"", b""])


def refusal(
    error: RefusedRequest, *, keep_alive: bool, with_body: bool = True, as_page: bool = False
) -> bytes:
    """Return a whole answer that is an error; as a page for somebody who opened it in a browser."""
    body, lines = error.body(), [b"content-type: application/json"]
    if as_page:
        body, lines = error_page(error.status, error.message), [*_PAGE_LINES]
    lines += [
        b"content-length: %d" % len(body),
        b"cache-control: no-store",
        *error.lines,
    ]
    if not keep_alive:
        lines.append(b"connection: close")
    return head(error.status, lines) + (body if with_body else b"")
