"""A call of a foreign server: any method and path, passed on as it is, both ways, also upgraded.

The server knows nothing of rootward: nothing of ours is sent to it, what it answers is the answer
(503 too), and each request has a connection of its own, so that none meets one that the server has
just closed. What the gateway reads for itself is given on where it is the server's: cookies and
authorization but the gateway's own, and where the request was sent to. After an answer 101 to a
WebSocket's request both sides are passed on byte by byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..frontend.responses import head
from .call import ProxiedCall

if TYPE_CHECKING:
    from ...http.framing import Request, Response
    from ..access import Access
    from .replica import UpstreamReplica
    from .responder import Responder
    from .table import RoutedService

SWITCHED: Final = 101
_WEBSOCKET: Final = b"websocket"
_SCHEMES: Final = frozenset({b"http", b"https"})


class ForeignCall(ProxiedCall):
    """One call of a command; after an upgrade it is a tunnel."""

    __slots__ = ("_prefix", "_seconds_to_open", "wants_upgrade")

    not_begun = frozenset()
    # What has the same effect when it is sent twice.
    repeats = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})

    def __init__(
        self, caller: Responder, request: Request, service: RoutedService, route: str
    ) -> None:
        super().__init__(caller, request, service, route)
        self.wants_upgrade = is_websocket(request)
        path = request.target.partition(b"?")[0]
        self._prefix = path[: len(path) - len(route)] if path.endswith(route.encode()) else path
        self._seconds_to_open: float | None = None

    def body(self, piece: bytes) -> None:
        """Take a piece of the request's body: sent on at once, whole or not."""
        super().body(piece)
        if not self._has_started:
            self._start()

    def cancel(self) -> None:
        """The caller has gone; from a tunnel it goes in order."""
        if self._seconds_to_open is None or self._is_over:
            super().cancel()
        else:
            self._abandon()

    def _lines_to(self, replica: UpstreamReplica) -> list[bytes]:
        own = self._request.own
        lines = [*self._request.lines, b"x-forwarded-for: " + self._caller.address]
        lines.append(b"x-forwarded-host: " + own[b"host"])
        scheme = own.get(b"x-forwarded-proto", b"http")
        lines.append(b"x-forwarded-proto: " + (scheme if scheme in _SCHEMES else b"http"))
        lines.append(b"x-forwarded-prefix: " + self._prefix)
        if b"origin" in own:
            # It was found to be of this site: so it is of the server's.
            lines.append(b"origin: http://" + replica.netloc.encode())
        if self.wants_upgrade:
            return [*lines, b"connection: Upgrade", b"upgrade: websocket"]
        return [*lines, b"connection: close"]

    def answer_begins(self, response: Response, piece: bytes) -> None:
        """Take the head and the first piece of an answer; after 101 all that follows is raw."""
        if response.status != SWITCHED:
            super().answer_begins(response, piece)
            return
        self._seconds_to_open = self._loop.time() - self._began
        self.has_begun, self._status, self._keep_alive = True, SWITCHED, False
        # What the caller sends is written as it is from here on.
        self._is_streaming = True
        lines = [*self._lines(response), b"connection: Upgrade", b"upgrade: websocket"]
        self._caller.send(head(SWITCHED, lines) + piece)
        self._caller.open_tunnel()

    def _finish(self, status: int, last: bytes) -> None:
        if self._seconds_to_open is None:
            super()._finish(status, last)
            return
        # How long a tunnel was open says nothing of how quick the server is.
        self._leave()
        self._end(0)
        self._caller.send(last)
        self._caller.done(keep_alive=False)

    def _end(self, status: int) -> None:
        if self._seconds_to_open is not None and not self._is_over:
            self._service.answered(SWITCHED, self._seconds_to_open)
            status = 0
        super()._end(status)

    def _lines(self, response: Response) -> list[bytes]:
        response.lines = [self._moved(line) for line in response.lines]
        return super()._lines(response)

    def _moved(self, line: bytes) -> bytes:
        """Return a header line of an answer; a place on the server is told as one below us."""
        name, _, value = line.partition(b":")
        if name.lower() != b"location" or self._replica is None:
            return line
        value = value.strip(b" \t").removeprefix(b"http://" + self._replica.netloc.encode())
        is_path = value.startswith(b"/") and not value.startswith(b"//")
        if not is_path or value.startswith(self._prefix + b"/"):
            return line
        return name + b": " + self._prefix + value


def call_of(caller: Responder, request: Request, service: RoutedService, route: str) -> ProxiedCall:
    """Return the call for what a service's replicas are."""
    kind = ForeignCall if service.view.is_foreign else ProxiedCall
    return kind(caller, request, service, route)


def is_websocket(request: Request) -> bool:
    """Whether a request asks for a WebSocket; other upgrades are ignored, as HTTP allows."""
    own = request.own
    named = {token.strip().lower() for token in own.get(b"connection", b"").split(b",")}
    return (
        request.method == b"GET"
        and request.minor == 1
        and not request.has_body
        and b"upgrade" in named
        and own.get(b"upgrade", b"").lower() == _WEBSOCKET
    )


def given_on(request: Request, access: Access) -> list[bytes]:
    """Return the header lines that a foreign server gets, without what opens the gateway."""
    own, lines = request.own, [*request.lines]
    authorization = own.get(b"authorization")
    if authorization is not None and not access.is_token(authorization):
        lines.append(b"authorization: " + authorization)
    if cookies := access.sessions.without_own(own.get(b"cookie", b"")):
        lines.append(b"cookie: " + cookies)
    return lines
