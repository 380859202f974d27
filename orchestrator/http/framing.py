"""Where a message begins and ends: strict reading of HTTP/1.1 heads and bodies, in both directions.

A proxy and what stands behind it must never disagree about where a request ends. So everything that
could be read in two ways is refused: both lengths, two lengths, signs, bare line feeds, NUL, folded
lines, extensions and trailers of chunks, targets that aren't a plain path. What is sent on is
written anew from what was understood. Nothing here does I/O, and nothing waits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from ..gateway.limits import Limits

END: Final = b"\r\n\r\n"

_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*"
_LINES = rb"((?:" + _NAME + rb":" + _VALUE + rb"\r\n)*)\r\n"
_REQUEST = re.compile(rb"([A-Z]{1,16}) (/[!$-;=?-\[\]-~]*) HTTP/1\.([01])\r\n" + _LINES)
_RESPONSE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: " + _VALUE + rb")?\r\n" + _LINES)
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_CHUNK = re.compile(rb"[0-9A-Fa-f]{1,8}")

# What concerns one connection only, and what the gateway says itself.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Read here and never sent on as they came: who the caller is stays with the gateway.
_OWN: Final = HOP_BY_HOP | {
    b"host",
    b"content-length",
    b"expect",
    b"origin",
    b"authorization",
    b"cookie",
    b"sec-fetch-site",
    b"x-rootward-token",
    b"x-rootward-timeout",
    b"x-rootward-generation",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"forwarded",
}


class Malformed(Exception):
    """A message that isn't taken: `status` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Request:
    """The head of one request; `lines` are what may be sent on, `own` what is the gateway's.

    `length` is the size of the body in bytes, None when it comes in chunks.
    """

    __slots__ = ("keep_alive", "length", "lines", "method", "minor", "own", "raw", "target")

    def __init__(self, method: bytes, target: bytes, minor: int, raw: bytes) -> None:
        self.method, self.target, self.minor, self.raw = method, target, minor, raw
        self.lines: list[bytes] = []
        self.own: dict[bytes, bytes] = {}
        self.length: int | None = 0
        self.keep_alive = minor == 1

    @property
    def has_body(self) -> bool:
        """Whether anything follows the head."""
        return self.length != 0

    def again(self) -> Request:
        """Return the same as a request of its own; what was read is shared and stays as it is."""
        other = Request(self.method, self.target, self.minor, self.raw)
        other.lines, other.own = self.lines, self.own
        other.length, other.keep_alive = self.length, self.keep_alive
        return other

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return all headers as they came, names in lower case."""
        pairs = (line.partition(b":") for line in self.raw.split(b"\r\n")[1:-2])
        return [(name.lower(), value.strip(b" \t")) for name, _, value in pairs]


def check_partial(data: bytes, limits: Limits) -> None:
    """Refuse the beginning of a head that can't become one any more; raises Malformed."""
    if len(data) > limits.head_bytes:
        raise Malformed(431, f"the head is above {limits.head_bytes:,} bytes")
    if b"\r\n" not in data and len(data) > limits.line_bytes:
        raise Malformed(414, f"the request line is above {limits.line_bytes:,} bytes")
    if data.count(b"\n") != data.count(b"\r\n") or b"\0" in data:
        raise Malformed(400, "lines end with CR LF, and no line has a NUL")


def read_request(head: bytes, limits: Limits) -> Request:
    """Read the head of a request, its empty line included; raises Malformed."""
    found = _REQUEST.fullmatch(head)
    if found is None or len(head) > limits.head_bytes:
        raise _why_not(head, limits)
    method, target, minor, block = found.groups()
    if len(target) > limits.line_bytes:
        raise Malformed(414, f"the target is above {limits.line_bytes:,} bytes")
    request = Request(method, target, minor == b"1", head)
    own, lines = request.own, request.lines
    given = block.split(b"\r\n")
    if len(given) > limits.headers + 1:
        raise Malformed(431, f"there are more than {limits.headers} headers")
    for line in given[:-1]:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name not in _OWN:
            lines.append(line)
        elif name in own:
            raise Malformed(400, f"{name.decode()} is given twice")
        else:
            own[name] = value.strip(b" \t")
    _settle_request(request)
    return request


def _settle_request(request: Request) -> None:
    """Find out about host, length and connection."""
    own = request.own
    if _HOST.fullmatch(own.get(b"host", b"")) is None:
        raise Malformed(400, "one Host is needed, and it must be a name or an address")
    length = own.get(b"content-length")
    if b"transfer-encoding" in own:
        if own[b"transfer-encoding"].lower() != b"chunked" or request.minor == 0:
            raise Malformed(501, "the only transfer coding taken is chunked, in HTTP/1.1")
        if length is not None:
            raise Malformed(400, "a length and a transfer coding exclude each other")
        request.length = None
    elif length is not None:
        if _LENGTH.fullmatch(length) is None:
            raise Malformed(400, "content-length is no number")
        request.length = int(length)
    if own.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise Malformed(417, "the only expectation met is 100-continue")
    if b"connection" in own:
        _settle_connection(request)


def _settle_connection(request: Request) -> None:
    named = {token.strip().lower() for token in request.own[b"connection"].split(b",")}
    if b"close" in named:
        request.keep_alive = False
    elif b"keep-alive" in named:
        request.keep_alive = True
    named -= {b"close", b"keep-alive", b"upgrade", b"te", b""}
    if named:
        request.lines = [
            line for line in request.lines if line.partition(b":")[0].lower() not in named
        ]


def _why_not(head: bytes, limits: Limits) -> Malformed:
    if len(head) > limits.head_bytes:
        return Malformed(431, f"the head is above {limits.head_bytes:,} bytes")
    first = head.partition(b"\r\n")[0]
    if re.fullmatch(rb"[A-Z]{1,16} /[!$-;=?-\[\]-~]* HTTP/1\.[01]", first) is None:
        return Malformed(400, "the first line must be METHOD /PATH HTTP/1.1")
    return Malformed(400, "a header line is malformed")


def seconds_of(given: bytes) -> float | None:
    """Return how long a caller will wait; None for what is no number above 0."""
    try:
        seconds = float(given)
    except ValueError:
        return None
    # Put so that NaN doesn't pass.
    return seconds if 0 < seconds < 1e7 else None


class Body(Protocol):
    """Reads the body of one message from what arrives."""

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Return what belongs to the body, and what follows it (None: it isn't over)."""


class LengthBody:
    """A body of a known length."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Take up to what is left."""
        size = len(data)
        if size < self._left:
            self._left -= size
            return data, None
        mine, rest = data[: self._left], data[self._left :]
        self._left = 0
        return mine, rest


class ChunkedBody:
    """A body in chunks, without extensions and trailers; raises Malformed."""

    __slots__ = ("_buffer", "_left")

    def __init__(self) -> None:
        self._buffer = b""
        # Bytes left of the chunk with its line end; 0 while the next size is awaited.
        self._left = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Take whole and partial chunks."""
        data = self._buffer + data if self._buffer else data
        self._buffer = b""
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left == 0:
                end = data.find(b"\r\n", at, at + 12)
                if end < 0:
                    if len(data) - at > 10 or b"\n" in data[at:]:
                        raise Malformed(400, "a chunk's size is malformed")
                    break
                size = data[at:end]
                if _CHUNK.fullmatch(size) is None:
                    raise Malformed(400, "a chunk's size is malformed")
                if int(size, 16) == 0:
                    if len(data) < end + 4:
                        break
                    if data[end + 2 : end + 4] != b"\r\n":
                        raise Malformed(400, "trailers aren't taken")
                    return b"".join(pieces), data[end + 4 :]
                self._left = int(size, 16) + 2
                at = end + 2
                continue
            at = self._take(data, at, pieces)
            if at < 0:
                return b"".join(pieces), None
        self._buffer = data[at:]
        return b"".join(pieces), None

    def _take(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Take what is there of a chunk; return where it ended, -1 when it isn't over."""
        there = min(len(data) - at, self._left)
        body = min(there, max(0, self._left - 2))
        if body:
            pieces.append(data[at : at + body])
        # What is left of the line end that closes the chunk.
        expected = b"\r\n"[max(0, 2 - (self._left - body)) :]
        if data[at + body : at + there] != expected[: there - body]:
            raise Malformed(400, "a chunk is longer than it says")
        self._left -= there
        return -1 if self._left else at + there


class OpenBody:
    """A body that lasts until its connection ends."""

    __slots__ = ()

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Take everything."""
        return data, None


class Response:
    """The head of a replica's answer; `length` is None in chunks, -1 until the connection ends."""

    __slots__ = ("keep_alive", "length", "lines", "status")

    def __init__(self, status: int, keep_alive: bool) -> None:
        self.status, self.keep_alive = status, keep_alive
        self.lines: list[bytes] = []
        self.length: int | None = -1

    def body(self) -> Body | None:
        """Return the reader of what follows; None for nothing."""
        if self.length is None:
            return ChunkedBody()
        if self.length > 0:
            return LengthBody(self.length)
        return OpenBody() if self.length < 0 else None


def read_response(head: bytes, method: bytes) -> Response:
    """Read the head of an answer to `method`; raises Malformed."""
    found = _RESPONSE.fullmatch(head)
    if found is None:
        raise Malformed(502, "the replica's answer is no HTTP")
    minor, status, block = found.groups()
    response = Response(int(status), minor == b"1")
    length: bytes | None = None
    is_chunked = False
    for line in block.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name == b"content-length":
            if length is not None:
                raise Malformed(502, "the replica's answer has two lengths")
            length = value.strip(b" \t")
        elif name == b"transfer-encoding":
            is_chunked = True
            if value.strip(b" \t").lower() != b"chunked":
                raise Malformed(502, "the replica's answer has an unknown transfer coding")
        elif name == b"connection":
            response.keep_alive = b"close" not in value.lower()
        elif name not in HOP_BY_HOP:
            response.lines.append(line)
    if length is not None and (is_chunked or _LENGTH.fullmatch(length) is None):
        raise Malformed(502, "the length of the replica's answer is unclear")
    if method == b"HEAD" or response.status in {204, 304}:
        response.length = 0
        if length is not None and method == b"HEAD":
            response.lines.append(b"content-length: " + length)
    elif is_chunked:
        response.length = None
    elif length is not None:
        response.length = int(length)
    return response
