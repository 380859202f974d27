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

from rootward.modules.rpc import envelope, proof
from rootward.orchestrator.gateway.access import LOOPBACK, is_loopback
from rootward.orchestrator.metrics.exposition import CONTENT_TYPE as METRICS_TYPE

from .formats import (
    JSON_TYPE,
    MSGPACK_TYPES,
    Format,
    JsonFormat,
    MsgpackFormat,
    PackedFormat,
    Refused,
    SignedFormat,
)

if TYPE_CHECKING:
    from ..child.parent_watch import ParentWatch
    from .metrics import Metrics
    from .request_head import Head

_OWN_SITE: Final = frozenset({b"same-origin", b"none"})
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
        guard: ParentWatch | None = None,
    ) -> None:
        """`host` is the address that it is bound to: off loopback callers must have `call_token`.

        Once the lease that `guard` watches is over, nothing is answered any more.
        """
        self.is_draining = False
        # Returns the OpenAPI document of the module, for who asks what it takes.
        self.describe: Callable[[], bytes] = lambda: b"{}"
        self._guard = guard
        self.metrics = metrics
        self._token = token
        self._token_bytes = token.encode()
        self._call_key, self._call_token = call_key, call_token.encode()
        # Who is on this machine may call.
        self._is_open = is_loopback(host)
        bound = f"[{host}]" if ":" in host else host
        self._hosts = LOOPBACK | {bound.encode().lower()}

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
            self._check_drain()
            return _packed(self._format(headers, is_bare=path == b"/"), headers)
        if path not in (b"/healthz", b"/readyz", b"/metrics", b"/openapi.json"):
            raise Refused(
                404, "NotFound", f"there is no {_shown(path)}: a replica has /call and /readyz"
            )
        if head.method not in (b"GET", b"HEAD"):
            raise Refused(405, "MethodNotAllowed", f"{_shown(path)} takes GET")
        return self._page(path, headers)

    def _page(self, path: bytes, headers: dict[bytes, bytes]) -> Page:
        if path == b"/metrics":
            self._check(headers)
            return Page(METRICS_TYPE, self.metrics.text())
        if path == b"/openapi.json":
            self._check(headers)
            self._check_drain()
            return Page(JSON_TYPE, self.describe())
        # What is left is for everyone who knows where the replica is.
        self._check_host(headers)
        if path == b"/readyz":
            self._names_this(headers)
            self._check_drain()
            return Page(JSON_TYPE, b'{"status": "ok"}')
        challenge = headers.get(_CHALLENGE, b"").decode("latin-1")
        if proof.is_challenge(challenge):
            return Page(JSON_TYPE, proof.body(self._call_key, self._token, challenge))
        return Page(JSON_TYPE, b'{"status": "ok"}')

    def _check(self, headers: dict[bytes, bytes]) -> None:
        """Refuse who means another replica, is a page of another site, or isn't known here.

        No page can send the name of a replica or a signed body: a browser asks for leave first.
        """
        names_this = self._names_this(headers)
        if headers.get(b"content-type") == _SIGNED:
            # It says by itself who sent it.
            return
        is_known = self._has_call_token(headers)
        if not names_this:
            self._check_site(headers)
            if not is_known:
                self._check_host(headers)
        if not (is_known or self._is_open):
            raise Refused(
                401, "Unauthorized", "send the generation's call token as Authorization: Bearer"
            )

    def _check_drain(self) -> None:
        if self.is_draining:
            raise Refused(503, "Draining", "this replica is about to end")

    def _has_call_token(self, headers: dict[bytes, bytes]) -> bool:
        if not self._call_token:
            return False
        given = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        return any(
            hmac.compare_digest(token, self._call_token)
            for token in (given, headers.get(b"x-rootward-token", b""))
        )

    def _names_this(self, headers: dict[bytes, bytes]) -> bool:
        """Whether the caller has named this replica; Refused when it has named another."""
        named = headers.get(b"x-rootward-token")
        if named is None:
            return False
        if hmac.compare_digest(named, self._token_bytes) or self._has_call_token(headers):
            return True
        raise Refused(421, "Misdirected", "the token names another replica: look it up again")

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        """Refuse a name that somebody has given our address: loopback is known by its own only."""
        given = headers.get(b"host")
        if not self._is_open or given is None:
            return
        authority = given.lower()
        name = authority if authority.endswith(b"]") else authority.rpartition(b":")[0]
        if name not in self._hosts and authority not in self._hosts:
            raise Refused(421, "Misdirected", "this replica isn't known by that Host")

    def _check_site(self, headers: dict[bytes, bytes]) -> None:
        """Refuse what a browser sends for a page that isn't ours, and we have none."""
        origin = headers.get(b"origin")
        is_foreign = headers.get(b"sec-fetch-site", b"none") not in _OWN_SITE
        if origin is not None:
            own = headers.get(b"host", b"").lower()
            is_foreign = is_foreign or origin.lower() not in {b"http://" + own, b"https://" + own}
        if is_foreign:
            raise Refused(403, "Forbidden", "calls from other sites' pages aren't taken")

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


def _packed(format_: Format, headers: dict[bytes, bytes]) -> Format:
    """Return the form of a call whose body may be compressed; raises Refused."""
    given = headers.get(b"content-encoding", b"identity").strip().lower()
    if given == b"identity":
        return format_
    if given in (b"gzip", b"x-gzip"):
        return PackedFormat(format_)
    raise Refused(
        415, "UnsupportedMediaType", f"content-encoding {_shown(given)} isn't taken: send gzip"
    )


def _shown(path: bytes) -> str:
    return path.decode("latin-1")
