"""One connection to a replica: requests in, one after the other; answers out, as they are made.

The loop's thread reads, strictly and without blocking, and takes no second request before the first
is answered. The answer is written by the thread that has made it, straight to the socket, and by
the loop only when the socket takes no more. Whoever is slow to send loses the connection; who is
slow to read an answer holds up nobody but that answer.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final

from rootward.orchestrator.http.framing import (
    END,
    Body,
    ChunkedBody,
    LengthBody,
    Malformed,
    check_partial,
)

from . import responses
from .formats import DISCARDED_BYTES, EVENTS_TYPE, Refused
from .request_head import LIMITS
from .router import Page

if TYPE_CHECKING:
    from .formats import Format
    from .request_head import Head
    from .roles import Begun, ReplicaHost

# Above the callers' own limit for idle connections, so that it is they who close them.
IDLE_S: Final = 75.0
HEAD_S: Final = 30.0
BODY_S: Final = 60.0
LINGER_S: Final = 30.0
_AHEAD_BYTES: Final = 64 << 10
_PAGE_BODY_BYTES: Final = 64 << 10
_EVENTS: Final = EVENTS_TYPE.encode()


class CallerConnection(asyncio.Protocol):
    """One connection; `deadline` is when it is cut unless something moves on."""

    def __init__(self, listener: ReplicaHost) -> None:
        self.transport: asyncio.Transport
        self.deadline = inf
        self.is_gone = False
        self._listener, self._loop = listener, listener.loop
        # The request that is read or answered.
        self._buffer = b""
        self._head: Head | None = None
        self._format: Format | Page | None = None
        self._body: Body | None = None
        self._pieces: list[bytes] = []
        self._call: Begun | None = None
        self._is_reading, self._is_closing, self._closes = True, False, False
        self._room = 0
        # The answer, when its own thread can't write all of it.
        self._fd = -1
        self._writing = threading.Lock()
        self._unsent: deque[bytes | memoryview] = deque()
        self._is_left_to_loop = self._is_paused = False
        self._left = 0
        self._parked: list[Callable[[], object]] = []

    # The loop's thread: connecting and reading.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and a descriptor that the transport can't close."""
        # uvloop's is none of asyncio's classes, and has all of their methods.
        self.transport = transport  # type: ignore[assignment]
        self._fd = os.dup(transport.get_extra_info("socket").fileno())
        self.deadline = time.monotonic() + HEAD_S
        self._listener.entered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still answers."""
        del exc
        self.is_gone = True
        with self._writing:
            os.close(self._fd)
            self._fd = -1
        self._listener.left(self)
        self._wake()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._is_closing:
            self._discard(len(data))
        elif self._body is not None:
            self._take_body(self._body, data)
        else:
            # Before the look at the call: its thread looks at the buffer after it has let go of it.
            self._buffer = self._buffer + data if self._buffer else data
            if self._call is None:
                self._take()
            elif len(self._buffer) > _AHEAD_BYTES:
                self._pause()

    def pause_writing(self) -> None:
        """The caller reads slowly: a stream waits."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """The caller reads again."""
        self._is_paused = False
        self._wake()

    def expire(self) -> None:
        """The deadline has passed."""
        left = self.transport.get_write_buffer_size()
        if self._call is not None:
            # It began while the call before it set the time.
            self.deadline = inf
        elif left and left != self._left:
            # Its reader is slow, and reads.
            self._left, self.deadline = left, time.monotonic() + IDLE_S
        elif self._is_closing or self.transport.is_closing() or not (self._buffer or self._body):
            self.transport.abort()
        else:
            self._refuse(Refused(408, "RequestTimeout", "the request came too slowly"))

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers of the request that is answered."""
        assert self._head is not None
        return self._head.headers

    def retire(self) -> None:
        """Take no further request."""
        if self._call is None and self._body is None and not self._buffer:
            self.transport.close()

    def _take(self) -> None:
        """Take the requests that have come, until one is a call or isn't whole."""
        while self._buffer and self._call is None and self._body is None and not self._is_closing:
            data, self._head = self._buffer, None
            end = data.find(END)
            try:
                if end < 0:
                    check_partial(data, LIMITS)
                    self.deadline = min(self.deadline, time.monotonic() + HEAD_S)
                    return
                self._head = head = self._listener.heads.read(data[: end + 4])
                self._buffer = data[end + 4 :]
                self._begin(head)
            except Malformed as error:
                self._refuse(Refused(error.status, "BadRequest", str(error)))
            except Refused as refused:
                self._refuse(refused)

    def _begin(self, head: Head) -> None:
        admitted = self._listener.app.admit(head)
        limit = _PAGE_BODY_BYTES if isinstance(admitted, Page) else admitted.limit
        length = head.length
        if length is not None and length > limit:
            raise _too_large(limit)
        self._format = admitted
        if length is not None and len(self._buffer) >= length:
            body, self._buffer = self._buffer[:length], self._buffer[length:]
            self._answer(admitted, head, body)
            return
        self._body = ChunkedBody() if length is None else LengthBody(length)
        self._pieces, self._room = [], limit
        self.deadline = time.monotonic() + BODY_S
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self._take_body(self._body, data)
        elif b"expect" in head.headers:
            self.transport.write(responses.CONTINUE)

    def _take_body(self, body: Body, data: bytes) -> None:
        assert self._head is not None
        assert self._format is not None
        try:
            piece, rest = body.feed(data)
        except Malformed as error:
            self._refuse(Refused(error.status, "BadRequest", str(error)))
            return
        self._room -= len(piece)
        if self._room < 0:
            limit = _PAGE_BODY_BYTES if isinstance(self._format, Page) else self._format.limit
            self._refuse(_too_large(limit))
            return
        self._pieces.append(piece)
        self.deadline = time.monotonic() + BODY_S
        if rest is not None:
            whole, self._pieces = b"".join(self._pieces), []
            self._body, self._buffer = None, rest
            self._answer(self._format, self._head, whole)
            self._take()

    def _answer(self, admitted: Format | Page, head: Head, body: bytes) -> None:
        self._closes = not head.keep_alive
        if isinstance(admitted, Page):
            self._closes = self._closes or self._listener.app.is_draining
            make = responses.headless if head.method == b"HEAD" else responses.whole
            self.transport.write(make(200, *admitted, close=self._closes))
            self._end_answer()
            return
        self.deadline = inf
        # What the loop has written before must go first.
        self._is_left_to_loop = self.transport.get_write_buffer_size() > 0
        wants_events = _EVENTS in head.headers.get(b"accept", b"")
        until = None if head.left_s is None else time.monotonic() + head.left_s
        serving = self._listener.serving
        call = serving.make_call(serving, self, admitted, wants_events=wants_events, until=until)
        # First, as it may have ended before `start` returns.
        self._call = call
        call.start(body)

    def _refuse(self, refused: Refused) -> None:
        """Answer with an error; the connection stays only if the whole request has been read."""
        self._listener.app.metrics.was_refused()
        head, self._body = self._head, None
        has_rest = head is None or head.length is None or head.length > len(self._buffer)
        if self._pieces:
            has_rest, self._pieces = True, []
        self._closes = (
            has_rest or head is None or not head.keep_alive or self._listener.app.is_draining
        )
        self.transport.write(responses.refusal(refused, close=self._closes))
        if has_rest:
            self._linger()
            return
        if head is not None and head.length:
            self._buffer = self._buffer[head.length :]
        self._end_answer()

    def _end_answer(self) -> None:
        if self._closes:
            self._close()
        else:
            self.deadline = time.monotonic() + IDLE_S

    def _linger(self) -> None:
        """Read on for a while, so that a caller that still sends hears why it was refused."""
        self._is_closing = True
        self._buffer = b""
        self._room = DISCARDED_BYTES
        self.deadline = time.monotonic() + LINGER_S
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _discard(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            self.transport.abort()

    def _close(self) -> None:
        self._is_closing = True
        self.deadline = time.monotonic() + IDLE_S
        self.transport.close()

    def _pause(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self.transport.pause_reading()

    def _go_on(self) -> None:
        """Go on after a call: with the next request, or to the end."""
        if self._call is not None or self.is_gone or self._is_closing:
            return
        if self._closes or (self._listener.app.is_draining and not self._buffer):
            self._close()
            return
        if not self._is_reading:
            self._is_reading = True
            self.transport.resume_reading()
        self._take()

    # The thread of the call.

    @property
    def is_writable(self) -> bool:
        """Whether all that was sent has left, or nearly."""
        return not (self._unsent or self._is_paused)

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        """Send a whole answer."""
        self._send(responses.whole(status, content_type, body, close=self._will_close()))
        self._done()

    def refuse(self, refused: Refused) -> None:
        """Send why the call isn't served."""
        self._listener.app.metrics.was_refused()
        self._send(responses.refusal(refused, close=self._will_close()))
        self._done()

    def begin_stream(self, content_type: str) -> None:
        """Send the head of a stream."""
        assert self._head is not None
        chunked = not self._head.is_old
        self._send(responses.stream_head(content_type, chunked=chunked, close=self._will_close()))

    def send_piece(self, piece: bytes, *, is_last: bool = False) -> None:
        """Send a piece of a stream."""
        assert self._head is not None
        data = piece if self._head.is_old else responses.chunk(piece)
        if is_last and not self._head.is_old:
            data += responses.LAST_CHUNK
        self._send(data)
        if is_last:
            self._done()

    def abandon(self) -> None:
        """End the connection, as the answer can't be ended."""
        self._on_loop(self._abort)

    def park(self, resume: Callable[[], object]) -> bool:
        """Have `resume` called once more can be sent; False when that is so already."""
        self._parked.append(resume)
        if not (self.is_writable or self.is_gone):
            return True
        try:
            self._parked.remove(resume)
        except ValueError:
            # Called in this very moment.
            return True
        return False

    def _will_close(self) -> bool:
        self._closes = self._closes or self._listener.app.is_draining
        return self._closes

    def _send(self, data: bytes) -> None:
        if self._listener.app.has_lapsed:
            # It was stopped while it computed: its successor may have answered others meanwhile.
            self.abandon()
            return
        rest: bytes | memoryview = data
        if not self._is_left_to_loop:
            with self._writing:
                if self._fd < 0:
                    return
                try:
                    sent = os.write(self._fd, data)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    self.abandon()
                    return
            if sent == len(data):
                return
            rest = memoryview(data)[sent:]
            self._is_left_to_loop = True
        self._unsent.append(rest)
        self._on_loop(self._flush)

    def _done(self) -> None:
        self._call = None
        if self._closes or self._buffer or self._listener.app.is_draining:
            self._on_loop(self._go_on)
        else:
            self.deadline = time.monotonic() + IDLE_S

    def _on_loop(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            # The loop has ended, and the connection with it.
            return

    # Again the loop's thread.

    def _flush(self) -> None:
        while self._unsent:
            # Taken out only afterwards: it is either there or in the transport's buffer.
            self.transport.write(self._unsent[0])
            self._unsent.popleft()
        if not self._is_paused:
            self._wake()

    def _abort(self) -> None:
        self._call = None
        self.transport.abort()

    def _wake(self) -> None:
        while self._parked:
            try:
                resume = self._parked.pop()
            except IndexError:
                return
            resume()


def _too_large(limit: int) -> Refused:
    return Refused(413, "TooLarge", f"the body is above {limit:,} bytes")
