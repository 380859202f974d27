"""A connection from the gateway to one replica: one call at a time, kept open in between.

It reads answers strictly and hands them to its call piece by piece, with back-pressure; whatever
ends it is told to that call once. When a connection is kept and when it is used again is decided
here, which replica is called is not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ...http.framing import END, Body, Malformed, OpenBody, Response, read_response
from .replica import KEPT

if TYPE_CHECKING:
    from .replica import UpstreamReplica
    from .roles import Answered

# A replica keeps idle connections for 75 s: it must be us who close them.
IDLE_S: Final = 30.0
_HEAD_BYTES: Final = 64 * 1024
_SWITCHED: Final = 101


class ReplicaConnection(asyncio.Protocol):
    """One connection; `call` is the one under way, if any."""

    __slots__ = ("_body", "_buffer", "_keep", "_replica", "call", "idle_since", "transport")

    def __init__(self, replica: UpstreamReplica) -> None:
        self.call: Answered | None = None
        self.transport: asyncio.Transport
        self.idle_since = 0.0
        self._replica = replica
        self._buffer = b""
        self._body: Body | None = None
        self._keep = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's is none of asyncio's classes, and has all of their methods.
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the call; an idle one is forgotten."""
        del exc
        call, self.call = self.call, None
        if call is not None:
            if isinstance(self._body, OpenBody):
                call.answer_ends(b"")
            else:
                call.lost()
        elif self in self._replica.idle:
            self._replica.idle.remove(self)

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer."""
        call = self.call
        if call is None:
            # Nobody has asked: whatever this is, it must not become the next call's answer.
            self.close()
            return
        try:
            if self._body is None:
                self._take_head(call, self._buffer + data if self._buffer else data)
            else:
                self._take_body(call, self._body, data)
        except Malformed as error:
            self.call = None
            self.transport.abort()
            call.answer_is_bad(error)

    def pause_writing(self) -> None:
        """The replica reads slower than the caller sends."""
        if self.call is not None:
            self.call.pause_request()

    def resume_writing(self) -> None:
        """The replica reads again."""
        if self.call is not None:
            self.call.resume_request()

    def close(self) -> None:
        """Close without a word; who calls has forgotten it."""
        self.call = None
        self.transport.close()

    def _take_head(self, call: Answered, data: bytes) -> None:
        end = data.find(END)
        if end < 0:
            if len(data) > _HEAD_BYTES:
                raise Malformed(502, "the head of the replica's answer is too long")
            self._buffer = data
            return
        self._buffer = b""
        response = read_response(data[: end + 4], call.method)
        rest = data[end + 4 :]
        if response.status == _SWITCHED:
            if not call.wants_upgrade:
                raise Malformed(502, "the replica has changed the protocol, which nobody asked for")
            self._keep, self._body = False, OpenBody()
            call.answer_begins(response, rest)
            return
        if response.status < 200:
            if rest:
                self._take_head(call, rest)
            return
        self._keep = response.keep_alive and response.length != -1
        self._body = response.body()
        if self._body is None:
            self._end(call, response, b"", rest)
            return
        piece, left = self._body.feed(rest) if rest else (b"", None)
        if left is None:
            call.answer_begins(response, piece)
        else:
            self._end(call, response, piece, left)

    def _take_body(self, call: Answered, body: Body, data: bytes) -> None:
        piece, rest = body.feed(data)
        if rest is None:
            if piece:
                call.answer_goes_on(piece)
            return
        self._end(call, None, piece, rest)

    def _end(self, call: Answered, response: Response | None, piece: bytes, rest: bytes) -> None:
        self.call = self._body = None
        # More than the answer means that the two of us disagree about where it ended.
        self._release(is_clean=not rest)
        if response is not None:
            call.answer_is_whole(response, piece)
        else:
            call.answer_ends(piece)

    def _release(self, *, is_clean: bool) -> None:
        replica = self._replica
        has_room = len(replica.idle) < KEPT and not replica.is_foreign
        is_wanted = has_room and not replica.is_suspect
        if not (self._keep and is_clean and is_wanted) or self.transport.is_closing():
            self.transport.close()
        else:
            # A call that was paused by its reader must leave no paused connection behind.
            self.transport.resume_reading()
            self.idle_since = asyncio.get_running_loop().time()
            replica.idle.append(self)


def seen(task: asyncio.Task[None]) -> None:
    """Let the loop's own handler tell, once, what a callback of ours raised."""
    if not task.cancelled() and task.exception() is not None:
        task.get_loop().call_exception_handler(
            {"message": "a connection to a replica failed", "exception": task.exception()}
        )
