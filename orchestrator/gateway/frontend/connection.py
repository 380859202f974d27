"""A connection to the gateway: requests in, one after the other, answers out in the same order.

It reads heads strictly, checks who asks, and gives each request to a call of a service or to the
application for everything else. A second request waits until the first is answered; whoever is slow
to send or to read loses the connection at a deadline that the server's round looks at.
"""

from __future__ import annotations

import asyncio
import sys
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from ...http.framing import (
    END,
    Body,
    ChunkedBody,
    LengthBody,
    Malformed,
    OpenBody,
    Request,
    check_partial,
)
from ..access import Right
from ..proxy.table import PREFIX
from .error_page import accepts, wants_page
from .responses import RefusedRequest, refusal

if TYPE_CHECKING:
    from ...http.head_cache import HeadCache
    from ..access import Access
    from ..limits import Limits

_SERVICES: Final = PREFIX.encode()
_PAGES: Final = frozenset({b"/", b"/healthz", b"/favicon.ico"})
_ASSETS: Final = b"/assets/"
_SESSION: Final = b"/api/session"
_AHEAD_BYTES: Final = 64 * 1024
_LINGER_S: Final = 1.0


class Answering(Protocol):
    """Whatever answers one request."""

    @property
    def has_begun(self) -> bool:
        """Whether any of the answer was sent."""

    def body(self, piece: bytes) -> None:
        """Take a piece of the body."""

    def body_ends(self) -> None:
        """All of the body has come."""

    def cancel(self) -> None:
        """The caller has gone."""

    def pause_answer(self) -> None:
        """The caller reads too slowly."""

    def resume_answer(self) -> None:
        """The caller reads again."""


class GatewayHost(Protocol):
    """What all connections share, as one of them sees it."""

    limits: Limits
    access: Access
    heads: HeadCache[Request]
    is_draining: bool
    stale_line: bytes | None

    def enters(self, connection: ClientConnection) -> bool:
        """Let a connection in; return whether it has a place."""

    def left(self, connection: ClientConnection) -> None:
        """Forget a connection."""

    def refused(self, status: int) -> None:
        """Count an answer that is an error of our own."""

    def answering(self, client: ClientConnection, request: Request) -> Answering:
        """Return what answers a request; raises Refusal."""


class ClientConnection(asyncio.Protocol):
    """One connection; `deadline` is when it is cut unless something moves on."""

    __slots__ = (
        "_answering",
        "_body",
        "_body_began",
        "_body_size",
        "_body_total",
        "_buffer",
        "_door",
        "_is_closing",
        "_is_reading",
        "_is_tunnel",
        "_limit",
        "_loop",
        "_request",
        "address",
        "deadline",
        "limits",
        "transport",
    )

    def __init__(self, door: GatewayHost) -> None:
        self._door, self.limits = door, door.limits
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport
        self.address = b""
        self._buffer = b""
        self._request: Request | None = None
        self._answering: Answering | None = None
        self._body: Body | None = None
        self._body_began = 0.0
        self._body_size = self._body_total = self._limit = 0
        self._is_closing = self._is_tunnel = False
        self._is_reading = True
        self.deadline = inf

    @property
    def stale_line(self) -> bytes | None:
        """What answers say while the registry can't be read."""
        return self._door.stale_line

    @property
    def is_draining(self) -> bool:
        """Whether no further request will be taken."""
        return self._door.is_draining

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place at the door, if there is one."""
        # uvloop's is none of asyncio's classes, and has all of their methods.
        self.transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]).encode() if peer else b"unknown"
        self.deadline = self._loop.time() + self.limits.head_s
        if not self._door.enters(self):
            self.refuse(RefusedRequest(503, "all places are taken", b"retry-after: 1"))

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        del exc
        self._door.left(self)
        self._is_closing = True
        answering, self._answering = self._answering, None
        if answering is not None:
            answering.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._is_closing:
            return
        if self._body is not None:
            self._take_body(data)
            return
        self._buffer = self._buffer + data if self._buffer else data
        if self._answering is None:
            self._take_requests()
        elif len(self._buffer) > _AHEAD_BYTES:
            self._pause()

    def pause_writing(self) -> None:
        """The caller reads slowly: so does the replica's side."""
        self.deadline = self._loop.time() + self.limits.unread_s
        if self._answering is not None:
            self._answering.pause_answer()

    def resume_writing(self) -> None:
        """The caller reads again."""
        self.deadline = (
            self._answered_until() if self._answering is not None else self._idle_until()
        )
        if self._answering is not None:
            self._answering.resume_answer()

    def expire(self) -> None:
        """The deadline has passed."""
        if self._is_closing or self.transport.is_closing():
            self.transport.abort()
        elif self._body is not None:
            self.refuse(RefusedRequest(408, "the body came too slowly"))
        elif self._answering is None and self._buffer:
            self.refuse(RefusedRequest(408, "the head came too slowly"))
        else:
            self.transport.abort()

    def drain(self) -> None:
        """Take no further request."""
        if self._answering is None and not self._buffer:
            self.transport.close()

    # For whoever answers.

    def send(self, data: bytes) -> None:
        """Write to the caller."""
        self.transport.write(data)
        if self._is_tunnel and not self.transport.get_write_buffer_size():
            self.deadline = self._answered_until()

    def done(self, *, keep_alive: bool) -> None:
        """Go on to the next request, or close."""
        self._answering = self._request = None
        if not keep_alive or self._door.is_draining or self._body is not None:
            self._close(lingers=self._body is not None)
            return
        self.deadline = self._idle_until()
        self._resume()
        if self._buffer:
            # Not from here: a long row of small requests would nest as deeply.
            self._loop.call_soon(self._take_requests)

    def refuse(self, refusal_: RefusedRequest) -> None:
        """Answer with an error; the connection stays only if the whole request has been read."""
        request = self._request
        if self._answering is not None and self._answering.has_begun:
            # An error in the middle of an answer would be taken for a part of it.
            self._answering.cancel()
            self.cut()
            return
        keep = (
            request is not None
            and request.keep_alive
            and self._body is None
            and not self._is_closing
            and not self._door.is_draining
            and not (self._answering is None and request.has_body)
        )
        with_body = request is None or request.method != b"HEAD"
        answering, self._answering = self._answering, None
        if answering is not None:
            answering.cancel()
        self._door.refused(refusal_.status)
        as_page = request is not None and _is_browsing(request)
        self.transport.write(
            refusal(refusal_, keep_alive=keep, with_body=with_body, as_page=as_page)
        )
        if keep:
            self.done(keep_alive=True)
        else:
            self._close(lingers=True)

    def cut(self) -> None:
        """Close without an end: the caller must see that something is missing."""
        self._answering = None
        self._is_closing = True
        self.transport.abort()

    def open_tunnel(self) -> None:
        """Give all that comes from here on to the call, as it comes, until one side closes."""
        self._is_tunnel, self._body, self._limit = True, OpenBody(), sys.maxsize
        self.deadline = self._answered_until()
        self._resume()
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self._take_body(data)

    def pause_body(self) -> None:
        """Read no more of the body until somebody takes it."""
        self._pause()
        self.deadline = self._answered_until()

    def resume_body(self) -> None:
        """Read on."""
        self._resume()
        if self._is_tunnel:
            self.deadline = self._answered_until()
        elif self._body is not None:
            self._body_began, self._body_size = self._loop.time(), 0
            self.deadline = self._body_began + self.limits.body_s

    # Requests.

    def _take_requests(self) -> None:
        while self._answering is None and self._buffer and not self._is_closing:
            data = self._buffer
            end = data.find(END)
            try:
                if end < 0:
                    check_partial(data, self.limits)
                    self.deadline = min(self.deadline, self._loop.time() + self.limits.head_s)
                    return
                self._buffer = data[end + 4 :]
                self._begin(self._door.heads.read(data[: end + 4]).again())
            except Malformed as error:
                self._request = None
                self.refuse(RefusedRequest(error.status, str(error)))
            except RefusedRequest as refusal_:
                self.refuse(refusal_)

    def _begin(self, request: Request) -> None:
        self._request = request
        is_call = request.target.startswith(_SERVICES)
        # Who may not ask learns nothing, not even which services there are.
        self._door.access.check(request, right_of(request))
        self._limit = self.limits.body_bytes if is_call else self.limits.page_body_bytes
        if request.length is not None and request.length > self._limit:
            raise self._too_large()
        answering = self._door.answering(self, request)
        self._answering, self.deadline = answering, inf
        if request.length == 0:
            answering.body_ends()
            return
        self._body = ChunkedBody() if request.length is None else LengthBody(request.length)
        self._body_began, self._body_size, self._body_total = self._loop.time(), 0, 0
        self.deadline = self._body_began + self.limits.body_s
        if b"expect" in request.own and not self._buffer:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self._take_body(data)

    def _take_body(self, data: bytes) -> None:
        body, answering = self._body, self._answering
        assert body is not None
        assert answering is not None
        try:
            piece, rest = body.feed(data)
        except Malformed as error:
            self.refuse(RefusedRequest(error.status, str(error)))
            return
        self._body_size += len(piece)
        self._body_total += len(piece)
        if self._body_total > self._limit:
            self.refuse(self._too_large())
            return
        if self._is_tunnel:
            self.deadline = self._answered_until()
        elif rest is None:
            self.deadline = (
                self._body_began + self.limits.body_s + self._body_size / self.limits.body_rate
            )
        else:
            self._body, self._buffer, self.deadline = None, rest, inf
        if piece:
            answering.body(piece)
        # The piece may have led to an answer, and that to the end of the request.
        if rest is not None and self._answering is answering:
            answering.body_ends()

    def _answered_until(self) -> float:
        return self._loop.time() + self.limits.tunnel_idle_s if self._is_tunnel else inf

    def _idle_until(self) -> float:
        return self._loop.time() + self.limits.idle_s

    def _pause(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self.transport.pause_reading()

    def _resume(self) -> None:
        if not self._is_reading and not self.transport.is_closing():
            self._is_reading = True
            self.transport.resume_reading()

    def _too_large(self) -> RefusedRequest:
        return RefusedRequest(413, f"the body is above {self._limit:,} bytes")

    def _close(self, *, lingers: bool) -> None:
        """Close; a caller that may still be sending is left the time to read the answer."""
        if self._is_closing:
            return
        self._is_closing = True
        self._buffer, self._body = b"", None
        # Whoever doesn't read the last of the answer must not stay for ever.
        self.deadline = self._loop.time() + self.limits.unread_s
        if not lingers or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._resume()
        self.deadline = self._loop.time() + _LINGER_S
        self.transport.write_eof()


def right_of(request: Request) -> Right:
    """Return what a request asks for, by its method and path alone."""
    path = request.target.partition(b"?")[0]
    if request.method in {b"GET", b"HEAD"}:
        is_docs = path.startswith(_SERVICES) and path.endswith(b"/docs")
        is_page = path in _PAGES or path.startswith(_ASSETS) or is_docs
        return Right.PAGE if is_page else Right.READ
    if path == _SESSION:
        return Right.SIGN_IN
    return Right.READ if path.startswith(_SERVICES) else Right.WRITE


def _is_browsing(request: Request) -> bool:
    """Whether somebody opened this address in a browser."""
    return wants_page(request.method.decode(), accepts(request.lines))
