"""The three forms of a call's body: signed, JSON and msgpack.

A format reads arguments from a body and writes results, errors and streams. What it raises as
Refused is the caller's fault and carries the HTTP status. Only the signed one ever unpickles, and
only what its signature covers; the other two take plain values, with limits on size and depth.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple, Protocol

from rootward.modules.errors import CodecError, SignatureError
from rootward.modules.rpc import envelope
from rootward.modules.state.exceptions import describe

from .json_values import plain, to_json

JSON_TYPE: Final = "application/json"
EVENTS_TYPE: Final = "text/event-stream"
MSGPACK_TYPES: Final = frozenset(
    {"application/msgpack", "application/x-msgpack", "application/vnd.msgpack"}
)
JSON_BYTES: Final = 16 << 20
MSGPACK_BYTES: Final = 1 << 20
# Signed bodies come from programs of the deployment itself; this guards memory, not against them.
SIGNED_BYTES: Final = 256 << 20
# Of a body that is refused: a caller that is cut off while it sends never reads why.
DISCARDED_BYTES: Final = 64 << 20


class Refused(Exception):
    """A request that can't be served, by the caller's fault; `status` is the HTTP status."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class Arguments(NamedTuple):
    """What `forward` is called with."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Format(Protocol):
    """One form of bodies of up to `limit` bytes; `content_type` is that of its plain answers."""

    content_type: str
    stream_type: str
    is_plain: bool
    # Whether reading the arguments may take long even of a small body.
    is_packed: bool
    limit: int

    def open(self, body: bytes) -> Arguments:
        """Read the arguments; raises Refused."""

    def result(self, value: Any) -> bytes:
        """Write a result; raises what says that it can't be written."""

    def error(self, error: BaseException) -> bytes:
        """Write an error of the module."""

    def item(self, index: int, value: Any) -> bytes:
        """Write one item of a stream."""

    def end(self, index: int, error: BaseException | None) -> bytes:
        """Write the end of a stream."""


class SignedFormat:
    """Any value, as the codec carries it; made for one request."""

    content_type = envelope.CALL_TYPE
    stream_type = envelope.STREAM_TYPE
    is_plain = is_packed = False
    limit = SIGNED_BYTES

    def __init__(self, key: bytes, token: str) -> None:
        self._key, self._token = key, token
        self._call = b""

    def open(self, body: bytes) -> Arguments:
        """Check the signature, then read the arguments."""
        self._call = body
        try:
            return Arguments(*envelope.open_call(body, self._key, self._token))
        except SignatureError as error:
            raise Refused(403, "SignatureError", str(error)) from error
        except CodecError as error:
            raise Refused(400, "CodecError", str(error)) from error

    def result(self, value: Any) -> bytes:
        """Seal the result."""
        return envelope.seal_value(value, self._key, envelope.answer_context(self._call))

    def error(self, error: BaseException) -> bytes:
        """Seal the exception."""
        return envelope.seal_error(error, self._key, envelope.answer_context(self._call))

    def item(self, index: int, value: Any) -> bytes:
        """Seal one item as a frame."""
        context = envelope.answer_context(self._call, index)
        return _framed(envelope.seal_value(value, self._key, context))

    def end(self, index: int, error: BaseException | None) -> bytes:
        """Seal the end, or the exception that was it, as a frame."""
        context = envelope.answer_context(self._call, index)
        if error is None:
            return _framed(envelope.seal_end(self._key, context))
        return _framed(envelope.seal_error(error, self._key, context))


class PackedFormat:
    """Another form whose call comes compressed by gzip; answers don't."""

    is_packed = True

    def __init__(self, inner: Format) -> None:
        self._inner = inner
        self.content_type, self.stream_type = inner.content_type, inner.stream_type
        self.is_plain, self.limit = inner.is_plain, inner.limit
        self.result, self.error = inner.result, inner.error
        self.item, self.end = inner.item, inner.end

    def open(self, body: bytes) -> Arguments:
        """Read the arguments; what is unpacked has the limit that an unpacked body has."""
        return self._inner.open(_unpacked(body, self.limit))


class JsonFormat:
    """JSON; `bare` bodies are one value, the argument of `forward`."""

    content_type = JSON_TYPE
    stream_type = EVENTS_TYPE
    is_plain, is_packed = True, False
    limit = JSON_BYTES

    def __init__(self, *, bare: bool) -> None:
        self._bare = bare

    def open(self, body: bytes) -> Arguments:
        """Read the arguments."""
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            what = "is nested too deeply" if isinstance(error, RecursionError) else f"({error})"
            raise Refused(400, "BadRequest", f"the body is no JSON {what}") from error
        return Arguments((value,), {}) if self._bare else _arguments(value)

    def result(self, value: Any) -> bytes:
        """Write `{"result": ...}`."""
        return to_json({"result": value})

    def error(self, error: BaseException) -> bytes:
        """Write `{"error": ...}`."""
        return error_body(error)

    def item(self, index: int, value: Any) -> bytes:
        """Write one event."""
        del index
        return b"data: " + to_json(value) + b"\n\n"

    def end(self, index: int, error: BaseException | None) -> bytes:
        """Write the last event."""
        del index
        if error is None:
            return b"event: end\ndata: {}\n\n"
        return b"event: error\ndata: " + error_body(error) + b"\n\n"


class MsgpackFormat(JsonFormat):
    """msgpack, without extension types; streams are JSON events all the same.

    What msgpack doesn't know has the form that it has in JSON.
    """

    content_type = "application/msgpack"
    limit = MSGPACK_BYTES

    def open(self, body: bytes) -> Arguments:
        """Read the arguments."""
        import msgpack

        try:
            value = msgpack.unpackb(body, ext_hook=_no_extension)
        except (ValueError, RecursionError, msgpack.UnpackException) as error:
            raise Refused(400, "BadRequest", f"the body is no plain msgpack ({error})") from error
        return Arguments((value,), {}) if self._bare else _arguments(value)

    def result(self, value: Any) -> bytes:
        """Write `{"result": ...}`."""
        return _msgpack({"result": value})

    def error(self, error: BaseException) -> bytes:
        """Write `{"error": ...}`."""
        described = describe(error)
        return _msgpack({"error": {"type": described["type"], "message": described["message"]}})


def error_body(error: BaseException) -> bytes:
    """Return `{"error": {"type", "message"}}` of an exception, without its traceback."""
    if isinstance(error, Refused):
        return to_json({"error": {"type": error.kind, "message": str(error)}})
    described = describe(error)
    return to_json({"error": {"type": described["type"], "message": described["message"]}})


def _arguments(value: Any) -> Arguments:
    if not isinstance(value, dict) or not value.keys() <= {"args", "kwargs"}:
        raise Refused(400, "BadRequest", 'the body must be {"args": [...], "kwargs": {...}}')
    args, kwargs = value.get("args", []), value.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise Refused(400, "BadRequest", "args must be a list, kwargs an object")
    if not all(isinstance(key, str) for key in kwargs):
        raise Refused(400, "BadRequest", "the keys of kwargs must be text")
    return Arguments(tuple(args), kwargs)


def _unpacked(body: bytes, limit: int) -> bytes:
    """Undo gzip, also of several members in a row; raises Refused."""
    import zlib

    pieces: list[bytes] = []
    left = limit
    while body:
        # 16 says that it is gzip, with its header.
        unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            piece = unpacking.decompress(body, left + 1)
        except zlib.error as error:
            raise Refused(400, "BadRequest", f"the body is no gzip ({error})") from error
        left -= len(piece)
        if left < 0:
            raise Refused(413, "TooLarge", f"the body is above {limit:,} bytes unpacked")
        if not unpacking.eof:
            raise Refused(400, "BadRequest", "the body is no whole gzip: its end is missing")
        pieces.append(piece)
        body = unpacking.unused_data
    return b"".join(pieces)


def _framed(sealed: bytes) -> bytes:
    return envelope.FRAME.pack(len(sealed)) + sealed


def _msgpack(value: Any) -> bytes:
    import msgpack

    return bytes(msgpack.packb(value, default=plain))


def _no_extension(code: int, data: bytes) -> Any:
    del data
    raise ValueError(f"extension type {code}")
