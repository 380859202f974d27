"""What a caller of a stream sees while its call is held: that the service is being woken.

Who asks for server-sent events is sent their head at once, and a comment line each second. What is
answered later is put behind it: events as they are, anything else as one event, an error as the
event that replicas end a stream with. The status has been sent by then, so it is 200 in any case.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from ..frontend.responses import head

if TYPE_CHECKING:
    from ...http.framing import Request
    from ..frontend.responses import RefusedRequest
    from .responder import Responder

PROGRESS_S: Final = 1.0
"""Seconds between two comment lines."""
_EVENTS: Final = b"text/event-stream"
_HEAD: Final = [
    b"content-type: text/event-stream",
    b"cache-control: no-store",
    b"transfer-encoding: chunked",
]
_LAST: Final = b"0\r\n\r\n"


class ProgressResponder:
    """A caller of a stream whose answer has begun before there is a replica to give it."""

    def __init__(self, caller: Responder) -> None:
        """Begin the answer."""
        self._caller = caller
        self.limits, self.address = caller.limits, caller.address
        self._is_stream = self._is_framed = False
        self._status = 0
        self._body = b""
        caller.send(head(200, [*_HEAD]))

    def tell(self, text: str) -> None:
        """Send a comment line."""
        self._send_chunk(f": {text}\n\n".encode())

    # What a call asks of its caller.

    @property
    def stale_line(self) -> bytes | None:
        """Nothing: the head has been sent."""
        return None

    @property
    def is_draining(self) -> bool:
        """Whether the connection closes after this answer."""
        return self._caller.is_draining

    def send(self, data: bytes) -> None:
        """Take a piece of a whole answer, its head first; pass on what is in it."""
        if not self._status:
            lines, _, data = data.partition(b"\r\n\r\n")
            lines = lines.lower()
            self._status = int(lines.split(b" ", 2)[1])
            self._is_framed = b"\r\ntransfer-encoding: chunked" in lines
            is_events = b"\r\ncontent-type: " + _EVENTS in lines
            self._is_stream = is_events and self._status == 200
        if self._is_stream and self._is_framed:
            self._caller.send(data)
        elif self._is_stream:
            self._send_chunk(data)
        else:
            self._body += data

    def done(self, *, keep_alive: bool) -> None:
        """All of the answer was sent."""
        if not self._is_stream:
            self._send_as_event()
        if not (self._is_stream and self._is_framed):
            self._caller.send(_LAST)
        self._caller.done(keep_alive=keep_alive)

    def refuse(self, refusal: RefusedRequest) -> None:
        """End the stream with an error."""
        self._send_chunk(_event(b"error", refusal.body()))
        self._caller.send(_LAST)
        self._caller.done(keep_alive=True)

    def cut(self) -> None:
        """The answer can't be ended: so does the connection."""
        self._caller.cut()

    def open_tunnel(self) -> None:
        """Whatever comes from here on is the answering call's, as it comes."""
        self._caller.open_tunnel()

    def pause_body(self) -> None:
        """Read no more of the request's body."""
        self._caller.pause_body()

    def resume_body(self) -> None:
        """Read on."""
        self._caller.resume_body()

    def _send_chunk(self, data: bytes) -> None:
        if data:
            self._caller.send(b"%x\r\n%b\r\n" % (len(data), data))

    def _send_as_event(self) -> None:
        body = unchunked(self._body) if self._is_framed else self._body
        if self._status >= 400:
            self._send_chunk(_event(b"error", body))
            return
        try:
            answer = json.loads(body)
            value = answer["result"] if isinstance(answer, dict) and "result" in answer else answer
            body = json.dumps(value).encode()
        except ValueError:
            body = json.dumps(body.decode(errors="replace")).encode()
        self._send_chunk(_event(b"", body) + _event(b"end", b"{}"))


def told(caller: Responder, request: Request, path: str | None, *, whole: bool) -> Responder:
    """Return the caller as it is to be answered after it has seen that `path` is being woken.

    Who doesn't ask for events sees nothing of it, and is answered as ever; so is who waits for what
    isn't being woken (None), or whose request isn't `whole` yet.
    """
    if path is None or not whole:
        return caller
    if isinstance(caller, ProgressResponder):
        progress = caller
    elif request.minor == 0 or not any(
        line.lower().startswith(b"accept:") and _EVENTS in line.lower() for line in request.lines
    ):
        return caller
    else:
        progress = ProgressResponder(caller)
    progress.tell(f"{path} is being woken")
    return progress


def unchunked(data: bytes) -> bytes:
    """Return what is in chunks that were made here."""
    pieces = []
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        pieces.append(data[:length])
        data = data[length + 2 :]
        if not length:
            break
    return b"".join(pieces)


def _event(name: bytes, data: bytes) -> bytes:
    lines = b"event: %b\n" % name if name else b""
    # JSON has no line breaks of its own, but what a module answers may be anything.
    return lines + b"".join(b"data: %b\n" % line for line in data.splitlines()) + b"\n"
