"""The HTTP face of a replica: which requests it takes, and what it refuses.

An ASGI application of its own, since a call should pass few layers: it routes, checks tokens,
origins and sizes, and hands the rest to `serving`. Everything that the caller got wrong is answered
4xx with `{"error": {"type", "message"}}`; a traceback never leaves but signed.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from modules import envelope

from .formats import (
    DISCARDED_BYTES,
    EVENTS_TYPE,
    JSON_BYTES,
    JSON_TYPE,
    MSGPACK_BYTES,
    MSGPACK_TYPES,
    SIGNED_BYTES,
    Format,
    JsonFormat,
    MsgpackFormat,
    Refused,
    SignedFormat,
    error_body,
)
from .metrics import CONTENT_TYPE as METRICS_TYPE

if TYPE_CHECKING:
    from .guard import Guard
    from .serving import Serving

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class ReplicaApp:
    """The ASGI application of one replica; `is_draining` refuses what is new."""

    def __init__(
        self,
        serving: Serving,
        *,
        host: str,
        token: str,
        call_key: bytes,
        call_token: str,
        guard: Guard | None = None,
    ) -> None:
        """`host` is the address that it is bound to: off loopback callers must be known.

        Once the lease that `guard` watches is over, nothing is answered any more.
        """
        self.is_draining = False
        # Returns the OpenAPI document of the module, for who asks what it takes.
        self.describe: Callable[[], bytes] = lambda: b"{}"
        self._guard = guard
        self._serving = serving
        self._host, self._token = host, token
        self._call_key, self._call_token = call_key, call_token
        self._is_open = host in LOOPBACK or host.startswith("127.")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers: Headers = dict(scope["headers"])
        try:
            await self._route(scope, headers, receive, send)
        except Refused as refused:
            self._serving.metrics.refused += 1
            more = ((b"retry-after", b"1"),) if refused.status == 503 else ()
            await respond(send, refused.status, error_body(refused), JSON_TYPE.encode(), *more)

    async def _route(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if self._guard is not None and self._guard.has_lapsed:
            raise Refused(421, "MisdirectedRequest", "this replica has lost its lease and ends")
        if path in ("/call", "/"):
            if method != "POST":
                raise Refused(405, "MethodNotAllowed", f"{path} takes POST, not {method}")
            self._check(headers)
            format_ = self._format(headers, path)
            body = await _body(headers, receive, _limit(format_))
            events = EVENTS_TYPE.encode() in headers.get(b"accept", b"")
            await self._serving.answer(format_, body, events, receive, send)
            return
        if path not in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
            raise Refused(404, "NotFound", f"there is no {path}: a replica has /call and /readyz")
        if method not in ("GET", "HEAD"):
            raise Refused(405, "MethodNotAllowed", f"{path} takes GET, not {method}")
        if path == "/readyz":
            self._check_name(headers)
            if self.is_draining:
                raise Refused(503, "Draining", "this replica is about to end")
        if path == "/openapi.json":
            self._check(headers)
            await respond(send, 200, self.describe(), JSON_TYPE.encode())
        elif path == "/metrics":
            await respond(send, 200, self._serving.metrics.text().encode(), METRICS_TYPE)
        else:
            await respond(send, 200, b'{"status": "ok"}', JSON_TYPE.encode())

    def _check(self, headers: Headers) -> None:
        """Refuse who means another replica, comes from a web page, or isn't known here."""
        if self.is_draining:
            raise Refused(503, "Draining", "this replica is about to end")
        self._check_name(headers)
        origin = headers.get(b"origin")
        if origin is not None and self._is_foreign(origin):
            raise Refused(403, "Forbidden", "calls from other sites' pages aren't taken")
        if self._is_open or headers.get(b"content-type") == envelope.CALL_TYPE.encode():
            # A signed body says by itself who sent it.
            return
        given = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        if not any(
            hmac.compare_digest(token, self._call_token.encode())
            for token in (given, headers.get(b"x-rootward-token", b""))
        ):
            raise Refused(
                401, "Unauthorized", "send the deployment's call token as Authorization: Bearer"
            )

    def _check_name(self, headers: Headers) -> None:
        named = headers.get(b"x-rootward-token")
        if named is None or hmac.compare_digest(named, self._token.encode()):
            return
        if self._call_token and hmac.compare_digest(named, self._call_token.encode()):
            return
        raise Refused(421, "Misdirected", "the token names another replica: look it up again")

    def _is_foreign(self, origin: bytes) -> bool:
        try:
            host = urlsplit(origin.decode("latin-1")).hostname
        except ValueError:
            return True
        return host not in LOOPBACK and host != self._host

    def _format(self, headers: Headers, path: str) -> Format:
        kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        if kind == envelope.CALL_TYPE:
            return SignedFormat(self._call_key, self._token)
        if kind in MSGPACK_TYPES:
            return MsgpackFormat(bare=path == "/")
        return JsonFormat(bare=path == "/")


def _limit(format_: Format) -> int:
    if isinstance(format_, SignedFormat):
        return SIGNED_BYTES
    return MSGPACK_BYTES if isinstance(format_, MsgpackFormat) else JSON_BYTES


async def _body(headers: Headers, receive: Receive, limit: int) -> bytes:
    too_large = Refused(413, "TooLarge", f"the body is above {limit:,} bytes")
    try:
        announced = int(headers.get(b"content-length", b"0"))
    except ValueError:
        raise Refused(400, "BadRequest", "content-length is no number") from None
    if announced > limit:
        await _discard(receive, DISCARDED_BYTES)
        raise too_large
    message = await receive()
    data: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return data
    parts, size = [data], len(data)
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            await _discard(receive, DISCARDED_BYTES)
            raise too_large
    if message["type"] == "http.disconnect":
        raise Refused(400, "BadRequest", "the body is incomplete")
    return b"".join(parts)


async def _discard(receive: Receive, limit: int) -> None:
    """Read on, so that the caller is done with sending and hears why it was refused."""
    size = 0
    while size <= limit:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return


async def respond(
    send: Send, status: int, body: bytes, content_type: bytes, *headers: tuple[bytes, bytes]
) -> None:
    """Send a whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
