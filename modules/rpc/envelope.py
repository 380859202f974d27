"""What is inside a signed call between Python processes, and inside its answer.

A call is its arguments, sealed for the one replica that its token names; an answer is sealed for
the one call whose signature it repeats, so that neither can be passed off as another.  Exceptions
travel whole where they can; where they can't, their type, message and traceback do, and whatever
isn't an Exception arrives in that form, too.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from ..errors import CodecError, RemoteError
from ..state import values
from ..state.exceptions import describe, portable, with_traceback

CALL_TYPE: Final = "application/x-rootward"
STREAM_TYPE: Final = "application/x-rootward-stream"
FRAME: Final = struct.Struct(">I")

_OK, _ERROR, _END = 0, 1, 2
# Where codec.seal puts the signature: behind the magic (3) and the key id (8).
_MARK: Final = slice(11, 43)


class EndOfStream(Exception):
    """The stream was whole."""


# Lists, not tuples, hold the parts: the codec writes them at once, and calls are many.
def seal_call(args: tuple[Any, ...], kwargs: dict[str, Any], key: bytes, token: str) -> bytes:
    """Seal a call for the replica that `token` names; raises CodecError."""
    return values.seal(values.dumps([list(args), kwargs]), key, f"call|{token}")


def open_call(body: bytes, key: bytes, token: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments and keywords; raises SignatureError or CodecError."""
    args, kwargs = values.loads(values.unseal(body, key, f"call|{token}"))
    return tuple(args), kwargs


def answer_context(call: bytes, index: int = 0) -> str:
    """Return what an answer (or the stream's frame `index`) to the sealed `call` is sealed with."""
    return f"answer|{call[_MARK].hex()}|{index}"


def seal_value(value: object, key: bytes, context: str) -> bytes:
    """Seal a result, or one item of a stream; raises CodecError when it can't travel."""
    return values.seal(values.dumps([_OK, value]), key, context)


def seal_error(error: BaseException, key: bytes, context: str) -> bytes:
    """Seal an exception as its owner would have seen it, or what of it can travel."""
    told = describe(error)
    whole = _whole(error)
    if whole is None:
        whole = _whole(portable(error, _can_travel))
    parts = (told["type"], told["message"], told["traceback"])
    return values.seal(values.dumps([_ERROR, [whole, *parts]]), key, context)


def seal_end(key: bytes, context: str) -> bytes:
    """Seal the end of a stream: one that lacks it was cut off."""
    return values.seal(values.dumps([_END, None]), key, context)


def open_answer(body: bytes, key: bytes, context: str) -> Any:
    """Return the result; raises the remote exception, EndOfStream, SignatureError or CodecError."""
    kind, content = values.loads(values.unseal(body, key, context))
    if kind == _OK:
        return content
    if kind == _END:
        raise EndOfStream
    whole, type_name, message, traceback = content
    error: BaseException | None = None
    if whole is not None:
        try:
            error = values.loads(whole)
        except (CodecError, SystemExit):
            # Its class can't be imported here, or can't be rebuilt from what it pickled.
            error = None
    if not isinstance(error, Exception):
        # Also what is none: SystemExit would end the program of whoever called.
        raise RemoteError(type_name, message, traceback)
    raise with_traceback(error, traceback)


def _whole(value: object) -> bytes | None:
    try:
        return values.dumps(value)
    except CodecError:
        return None


def _can_travel(value: object) -> bool:
    return _whole(value) is not None
