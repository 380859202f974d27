"""Runs an ASGI application for the requests that aren't calls: the API and the pages.

One connection, one way of reading requests, one set of rules for all: the application never sees a
socket. Bodies are small and given whole; answers may be streams, which wait for their reader.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from .responses import RefusedRequest, head

if TYPE_CHECKING:
    from ...http.framing import Request
    from ..proxy.responder import Responder

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


class Visit:
    """One request to the application."""

    def __init__(self, caller: Responder, request: Request, application: Application) -> None:
        self._caller, self._request, self._application = caller, request, application
        self._body: list[bytes] = []
        self._is_told = self._is_over = self._is_chunked = False
        self._start: Message | None = None
        self.has_begun = False
        self._gone = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._body.append(piece)

    def body_ends(self) -> None:
        """Run the application."""
        asyncio.get_running_loop().create_task(self._run())

    def cancel(self) -> None:
        """The caller has gone: the application is told when it asks."""
        self._is_over = True
        self._gone.set()
        self._writable.set()

    def pause_answer(self) -> None:
        """Let the application wait."""
        self._writable.clear()

    def resume_answer(self) -> None:
        """Let it go on."""
        self._writable.set()

    async def _run(self) -> None:
        try:
            await self._application(self._scope(), self._receive, self._send)
        except Exception:
            if not self._is_over:
                log.exception("gateway.failed", extra={"event": "gateway.failed"})
        if self._is_over:
            return
        self._is_over = True
        if self.has_begun:
            self._caller.cut()
        else:
            self._caller.refuse(
                RefusedRequest(500, "the gateway failed to answer; its log says why")
            )

    def _scope(self) -> Message:
        request = self._request
        raw_path, _, query = request.target.partition(b"?")
        host = request.own[b"host"].decode("latin-1")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": f"1.{request.minor:d}",
            "method": request.method.decode(),
            "scheme": "http",
            "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": request.headers(),
            "client": (self._caller.address.decode(), 0),
            "server": (host, None),
        }

    async def _receive(self) -> Message:
        if not self._is_told:
            self._is_told = True
            return {"type": "http.request", "body": b"".join(self._body), "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self._writable.wait()
        if self._is_over:
            raise OSError("the caller has gone")
        if message["type"] == "http.response.start":
            self._start = message
            return
        piece, more = message.get("body", b""), message.get("more_body", False)
        data = b"" if self.has_begun else self._head(piece, more)
        if self._request.method != b"HEAD":
            data += self._framed(piece, more)
        if data:
            self._caller.send(data)
        if not more:
            self._is_over = True
            self._gone.set()
            self._caller.done(keep_alive=self._request.keep_alive)

    def _head(self, piece: bytes, more: bool) -> bytes:
        assert self._start is not None
        self.has_begun = True
        lines = [
            name + b": " + value
            for name, value in self._start["headers"]
            if name.lower() not in {b"content-length", b"transfer-encoding", b"connection"}
        ]
        if not more:
            if self._start["status"] not in {204, 304}:
                lines.append(b"content-length: %d" % len(piece))
        elif self._request.minor == 1:
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked")
        else:
            self._request.keep_alive = False
        if not self._request.keep_alive:
            lines.append(b"connection: close")
        return head(self._start["status"], lines)

    def _framed(self, piece: bytes, more: bool) -> bytes:
        if not self._is_chunked:
            return piece
        framed = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
        return framed if more else framed + b"0\r\n\r\n"
