"""One call on its way through the gateway: held, sent, repeated, streamed back, ended.

A call is a chain of callbacks, not a task: what is ready at once costs no turn of the event loop.
It is sent again only when nothing of an answer has come, all of its body is still here, and the
service may be called twice; a replica that refuses the connection, or says that it doesn't take the
call, has not begun it, so that always leads to another. Framing, both ways, is written anew.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final

from ...http.framing import seconds_of
from ..frontend.responses import RefusedRequest, head
from .progress import told
from .prover import connect
from .repetition import why_not_again
from .upstream import seen

if TYPE_CHECKING:
    from ...http.framing import Malformed, Request, Response
    from .replica import UpstreamReplica
    from .responder import Responder
    from .roles import Kept
    from .table import RoutedService

_SAFE: Final = frozenset({b"GET", b"HEAD"})


class ProxiedCall:
    """One call of a service; `method` is the request's, `has_begun` is true of its answer."""

    __slots__ = (
        "_attempts",
        "_began",
        "_caller",
        "_chunked_answer",
        "_connection",
        "_generation",
        "_has_started",
        "_hold_until",
        "_is_body_whole",
        "_is_over",
        "_is_streaming",
        "_keep_alive",
        "_loop",
        "_pieces",
        "_replica",
        "_request",
        "_route",
        "_service",
        "_size",
        "_status",
        "_timers",
        "_until",
        "_was_held",
        "has_begun",
        "method",
    )

    # By which a replica says that it hasn't begun a call; what may always be sent again.
    not_begun: ClassVar[frozenset[int]] = frozenset({421, 503})
    repeats: ClassVar[frozenset[bytes]] = frozenset({b"GET", b"HEAD"})
    wants_upgrade = False

    def __init__(
        self, caller: Responder, request: Request, service: RoutedService, route: str
    ) -> None:
        self._caller, self._request, self._service = caller, request, service
        self._loop = asyncio.get_running_loop()
        query = request.target.partition(b"?")[2]
        self._route = route.encode() + (b"?" + query if query else b"")
        self.method = request.method
        self._pieces: list[bytes] = []
        self._size = self._attempts = self._status = 0
        self._is_body_whole = self._has_started = self._is_streaming = False
        self.has_begun = self._is_over = self._chunked_answer = self._was_held = False
        self._keep_alive = request.keep_alive
        self._generation = request.own.get(b"x-rootward-generation")
        self._connection: Kept | None = None
        self._replica: UpstreamReplica | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._began = self._hold_until = 0.0
        self._until: float | None = None

    # The request, from the caller.

    def body(self, piece: bytes) -> None:
        """Take a piece of the request's body."""
        self._size += len(piece)
        if self._is_streaming and self._connection is not None:
            self._connection.transport.write(self._framed(piece))
            return
        self._pieces.append(piece)
        if self._has_started:
            self._caller.pause_body()
        elif self._size > self._caller.limits.replay_bytes:
            self._start()

    def body_ends(self) -> None:
        """All of the body has come."""
        self._is_body_whole = True
        if not self._has_started:
            self._start()
        elif self._is_streaming and self._connection is not None and self._request.length is None:
            self._connection.transport.write(b"0\r\n\r\n")

    def cancel(self) -> None:
        """The caller has gone."""
        if self._is_over:
            return
        self._service.meter.by_class[0] += self._has_started
        self._abandon()

    def pause_answer(self) -> None:
        """The caller reads slower than the replica sends."""
        if self._connection is not None:
            self._connection.transport.pause_reading()

    def resume_answer(self) -> None:
        """The caller reads again."""
        if self._connection is not None:
            self._connection.transport.resume_reading()

    def pause_request(self) -> None:
        """The replica reads slower than the caller sends."""
        self._caller.pause_body()

    def resume_request(self) -> None:
        """The replica reads again."""
        self._caller.resume_body()

    # From the first choice of a replica to the first byte of an answer.

    def _start(self) -> None:
        now = self._loop.time()
        limits = self._caller.limits
        self._has_started, self._began, self._hold_until = True, now, now + limits.hold_s
        self._service.in_flight += 1
        self._service.budget.called(now)
        if self._service.in_flight > limits.concurrency:
            self._refuse(429, f"{self._service.view.path} has {limits.concurrency} calls under way")
            return
        given = self._request.own.get(b"x-rootward-timeout")
        if given is not None:
            seconds = seconds_of(given)
            if seconds is None:
                self._refuse(400, "x-rootward-timeout is a number of seconds above 0")
                return
            self._until = now + seconds
            self._timers.append(self._loop.call_at(self._until, self._timed_out))
        self.dispatch()

    def dispatch(self) -> None:
        """Send the call to a replica, or wait for one."""
        if self._is_over or self._replica is not None:
            return
        self._service = self._service.pass_on()
        if self._generation is not None and int(self._generation) != self._service.view.generation:
            self._refuse(404, f"generation {int(self._generation)} takes calls no more")
            return
        now = self._loop.time()
        replica = self._service.choose(now)
        if replica is None:
            self._hold(now)
            return
        self._replica = replica
        replica.in_flight += 1
        while replica.idle:
            connection = replica.idle.pop()
            if not connection.transport.is_closing():
                self._send(connection, replica)
                return
        replica.is_probed = replica.is_suspect
        self._loop.create_task(self._connect(replica)).add_done_callback(seen)

    async def _connect(self, replica: UpstreamReplica) -> None:
        was_suspect = replica.is_suspect
        try:
            connection = await connect(replica, self._caller.limits.connect_s)
        except OSError:
            replica.broke(self._loop.time())
            self._service.meter.ejections += 1
            self._leave()
            self.dispatch()
            return
        replica.reached()
        if self._is_over:
            # Others may have use for it.
            self._leave()
            replica.keep(connection)
        else:
            self._send(connection, replica)
        if was_suspect:
            self._service.wake()

    def _send(self, connection: Kept, replica: UpstreamReplica) -> None:
        self._connection, connection.call = connection, self
        replica.busy.add(connection)
        self._attempts += 1
        lines = self._lines_to(replica)
        self._is_streaming = not self._is_body_whole
        if not self._is_streaming:
            if self._size or self.method not in _SAFE:
                lines.append(b"content-length: %d" % self._size)
            body = b"".join(self._pieces)
        else:
            length = self._request.length
            lines.append(
                b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
            )
            # What was sent in part can't be sent again.
            body = self._framed(b"".join(self._pieces))
            self._pieces = []
            self._caller.resume_body()
        first = b"%b %b HTTP/1.1\r\n%b" % (self.method, self._route, replica.head)
        connection.transport.write(first + b"\r\n".join([*lines, b"", body]))

    def _lines_to(self, replica: UpstreamReplica) -> list[bytes]:
        """Return the header lines for a replica, without the body's."""
        del replica
        lines = [*self._request.lines, b"x-forwarded-for: " + self._caller.address]
        if self._until is not None:
            lines.append(b"x-rootward-timeout: %.3f" % max(self._until - self._loop.time(), 0.001))
        return lines

    def _framed(self, piece: bytes) -> bytes:
        if self._request.length is None and piece:
            return b"%x\r\n%b\r\n" % (len(piece), piece)
        return piece

    def _hold(self, now: float) -> None:
        service = self._service
        if service.is_gone or not service.view.is_coming or now >= self._hold_until:
            self._refuse(503, service.why_not())
            # The next in line takes over trying a replica that broke a connection.
            service.wake_one()
            return
        service.meter.held += not self._was_held
        self._was_held = True
        at = service.hold(self, self._hold_until, now)
        self._caller = told(self._caller, self._request, service.rising, whole=self._is_body_whole)
        self._timers.append(self._loop.call_at(at, self._look_again))

    def _look_again(self) -> None:
        if self._service.waiting.pop(self, False) is None:
            self.dispatch()

    # The answer, from the replica's connection.

    def lost(self) -> None:
        """The connection ended before the answer did."""
        replica, now, meter = self._replica, self._loop.time(), self._service.meter
        assert replica is not None
        self._service.budget.lost(replica.broke(now), now)
        meter.ejections += 1
        self._leave()
        again = self._service.view.repeatable or self.method in self.repeats
        if self.has_begun:
            self._end(502)
            self._caller.cut()
        elif why := why_not_again(self._attempts, again, in_part=self._is_streaming):
            view = replica.view
            self._refuse(502, f"the replica at {view.host}:{view.port} on {view.worker} {why}")
        elif not self._service.budget.spend(now):
            meter.unrepeated += 1
            self._refuse(502, f"{self._service.view.path} loses too many calls to repeat this one")
        else:
            meter.repeats += 1
            self.dispatch()

    def answer_is_bad(self, error: Malformed) -> None:
        """The replica's answer is no HTTP; its connection is closed."""
        self._leave()
        if self.has_begun:
            self._end(502)
            self._caller.cut()
        else:
            self._refuse(502, str(error))

    def answer_begins(self, response: Response, piece: bytes) -> None:
        """Take the head and the first piece of an answer of which more will come."""
        if response.status in self.not_begun:
            connection = self._connection
            assert connection is not None
            connection.close()
            self._turned_away()
            return
        lines = self._lines(response)
        if response.length is not None and response.length >= 0:
            lines.append(b"content-length: %d" % response.length)
        elif self._request.minor == 1:
            self._chunked_answer = True
            lines.append(b"transfer-encoding: chunked")
        else:
            self._keep_alive = False
        self.has_begun, self._status = True, response.status
        self._caller.send(self._closed(response.status, lines) + self._answer_piece(piece))

    def answer_goes_on(self, piece: bytes) -> None:
        """Take a later piece."""
        self._caller.send(self._answer_piece(piece))

    def answer_ends(self, piece: bytes) -> None:
        """Take the last piece."""
        last = self._answer_piece(piece) + (b"0\r\n\r\n" if self._chunked_answer else b"")
        self._finish(self._status, last)

    def answer_is_whole(self, response: Response, piece: bytes) -> None:
        """Take an answer that has come at once."""
        if response.status in self.not_begun:
            self._turned_away()
            return
        lines = self._lines(response)
        if self.method != b"HEAD" and response.status not in {204, 304}:
            lines.append(b"content-length: %d" % len(piece))
        self._finish(response.status, self._closed(response.status, lines) + piece)

    def _lines(self, response: Response) -> list[bytes]:
        assert self._replica is not None
        lines = [*response.lines, *self._replica.told]
        if self._caller.stale_line is not None:
            lines.append(self._caller.stale_line)
        return lines

    def _closed(self, status: int, lines: list[bytes]) -> bytes:
        # With a part of the body unread, nobody could say where the next request begins.
        if not (self._keep_alive and self._is_body_whole) or self._caller.is_draining:
            self._keep_alive = False
            lines.append(b"connection: close")
        elif self._request.minor == 0:
            lines.append(b"connection: keep-alive")
        return head(status, lines)

    def _answer_piece(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked_answer and piece else piece

    def _turned_away(self) -> None:
        assert self._replica is not None
        self._replica.turned_away(self._loop.time())
        self._leave()
        if self._is_streaming:
            self._refuse(503, "the replica is about to end, and the body was sent in part")
        else:
            self.dispatch()

    # The end.

    def _finish(self, status: int, last: bytes) -> None:
        assert self._replica is not None
        now = self._loop.time()
        self._replica.recent.observe(now - self._began, now, is_error=status >= 500)
        if self._replica.answered(status, now):
            self._service.meter.ejections += 1
        self._leave()
        self._end(status)
        self._caller.send(last)
        self._caller.done(keep_alive=self._keep_alive)

    def _refuse(self, status: int, message: str) -> None:
        self._abandon()
        self._service.answered(status, self._loop.time() - self._began)
        more = (b"retry-after: 1",) if status in {429, 503} else ()
        self._caller.refuse(RefusedRequest(status, message, *more))

    def _timed_out(self) -> None:
        if self.has_begun:
            self._abandon()
            self._service.answered(504, self._loop.time() - self._began)
            self._caller.cut()
        else:
            self._refuse(504, f"{self._service.view.path} didn't answer in the time that was given")

    def _leave(self) -> None:
        """Be done with the replica of this attempt."""
        if self._replica is not None:
            self._replica.in_flight -= 1
            if self._connection is not None:
                self._replica.busy.discard(self._connection)
        self._replica = self._connection = None

    def _abandon(self) -> None:
        """End without an answer of the replica's."""
        if self._connection is not None:
            self._connection.close()
            self._leave()
        self._end(0)

    def _end(self, status: int) -> None:
        if self._is_over:
            return
        self._is_over = True
        for timer in self._timers:
            timer.cancel()
        self._service.waiting.pop(self, None)
        if self._has_started:
            self._service.in_flight -= 1
        if status:
            self._service.answered(status, self._loop.time() - self._began)
