"""The HTTP face of a replica: which requests it takes, and what it refuses.

It routes, and checks tokens and origins, by the head of a request alone, so that what isn't taken
is refused before its body is read. It reads and sends nothing itself. Everything that the caller
got wrong is answered 4xx with `{"error": {"type", "message"}}`; a traceback never leaves but
signed.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from rootward.modules.rpc import envelope, proof

from .formats import (
    JSON_TYPE,
    MSGPACK_TYPES,
    Format,
    JsonFormat,
    MsgpackFormat,
    Refused,
    SignedFormat,
)
from .metrics import CONTENT_TYPE as METRICS_TYPE

if TYPE_CHECKING:
    from ..child.parent_watch import Guard
    from .head_cache import Head
    from .metrics import Metrics

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_SIGNED: Final = envelope.CALL_TYPE.encode()
_CHALLENGE: Final = proof.HEADER.lower().encode()


class Page(NamedTuple):
    """An answer that is there already."""

    content_type: str
    body: bytes


class ReplicaApp:
    """What one replica takes; `is_draining` refuses what is new."""

    def __init__(
        self,
        metrics: Metrics,
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
        self.metrics = metrics
        self._host, self._token = host, token
        self._token_bytes = token.encode()
        self._call_key, self._call_token = call_key, call_token
        self._is_open = host in LOOPBACK or host.startswith("127.")

    @property
    def has_lapsed(self) -> bool:
        """Whether its lease is over: what is still asked or computed, another one answers."""
        return self._guard is not None and self._guard.has_lapsed

    def admit(self, head: Head) -> Format | Page:
        """Return the form of the call that follows, or the page that was asked for.

        Raises Refused.
        """
        if self.has_lapsed:
            raise Refused(421, "MisdirectedRequest", "this replica has lost its lease and ends")
        path, headers = head.path, head.headers
        if path in (b"/call", b"/"):
            if head.method != b"POST":
                raise Refused(405, "MethodNotAllowed", f"{_shown(path)} takes POST")
            self._check(headers)
            return self._format(headers, is_bare=path == b"/")
        if path not in (b"/healthz", b"/readyz", b"/metrics", b"/openapi.json"):
            raise Refused(
                404, "NotFound", f"there is no {_shown(path)}: a replica has /call and /readyz"
            )
        if head.method not in (b"GET", b"HEAD"):
            raise Refused(405, "MethodNotAllowed", f"{_shown(path)} takes GET")
        if path == b"/readyz":
            self._check_name(headers)
            if self.is_draining:
                raise Refused(503, "Draining", "this replica is about to end")
        if path == b"/openapi.json":
            self._check(headers)
            return Page(JSON_TYPE, self.describe())
        if path == b"/metrics":
            return Page(METRICS_TYPE, self.metrics.text().encode())
        challenge = headers.get(_CHALLENGE, b"").decode("latin-1")
        if path == b"/healthz" and proof.is_challenge(challenge):
            return Page(JSON_TYPE, proof.body(self._call_key, self._token, challenge))
        return Page(JSON_TYPE, b'{"status": "ok"}')

    def _check(self, headers: dict[bytes, bytes]) -> None:
        """Refuse who means another replica, comes from a web page, or isn't known here."""
        if self.is_draining:
            raise Refused(503, "Draining", "this replica is about to end")
        self._check_name(headers)
        origin = headers.get(b"origin")
        if origin is not None and self._is_foreign(origin):
            raise Refused(403, "Forbidden", "calls from other sites' pages aren't taken")
        if self._is_open or headers.get(b"content-type") == _SIGNED:
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

    def _check_name(self, headers: dict[bytes, bytes]) -> None:
        named = headers.get(b"x-rootward-token")
        if named is None or hmac.compare_digest(named, self._token_bytes):
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

    def _format(self, headers: dict[bytes, bytes], *, is_bare: bool) -> Format:
        given = headers.get(b"content-type", b"")
        if given == _SIGNED:
            return SignedFormat(self._call_key, self._token)
        kind = given.decode("latin-1").partition(";")[0].strip().lower()
        if kind == envelope.CALL_TYPE:
            return SignedFormat(self._call_key, self._token)
        if kind in MSGPACK_TYPES:
            return MsgpackFormat(bare=is_bare)
        return JsonFormat(bare=is_bare)


def _shown(path: bytes) -> str:
    return path.decode("latin-1")
