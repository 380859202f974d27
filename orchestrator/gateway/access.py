"""Who may ask for what: tokens, hosts and origins, decided before anything else is done.

On loopback everyone on the machine may read and call, but no web page of another site may, whatever
name it gave our address: Host must be one of ours, and a browser's own word on where the request
comes from (Sec-Fetch-Site, Origin) must be this site. Elsewhere everything but the bare pages and
the health needs the token, or the cookie that a browser was given for it. What changes anything
needs one of them always.
"""

from __future__ import annotations

import hmac
from enum import Enum
from typing import TYPE_CHECKING, Final

from .frontend.responses import RefusedRequest
from .sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..http.framing import Request

LOOPBACK: Final = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})
_OWN_SITE: Final = frozenset({b"same-origin", b"none"})


class Right(Enum):
    """What a request asks for."""

    PAGE = "page"
    SIGN_IN = "sign in"
    READ = "read"
    WRITE = "write"


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    return host in {"localhost", "::1"} or host.startswith("127.")


class Access:
    """The rules of one gateway; `hosts` are more names that it is known by."""

    def __init__(self, host: str, token: str, hosts: Iterable[str] = ()) -> None:
        self.needs_token = not is_loopback(host)
        self._token = token.encode()
        self.sessions = Sessions(token)
        named = {name.encode().lower() for name in hosts}
        # With a token, a name that somebody else points here opens nothing.
        self._any_host = self.needs_token and not named
        bound = f"[{host}]" if ":" in host else host
        self._hosts = LOOPBACK | {bound.encode().lower()} | named

    def check(self, request: Request, right: Right) -> None:
        """Raise Refusal unless the request may have what it asks for."""
        own = request.own
        authority = own[b"host"].lower()
        if not self._any_host:
            name = authority if authority.endswith(b"]") else authority.rpartition(b":")[0]
            if name not in self._hosts and authority not in self._hosts:
                raise RefusedRequest(421, "this gateway isn't known by that Host: see --allow-host")
        if right is Right.PAGE:
            return
        if own.get(b"sec-fetch-site", b"none") not in _OWN_SITE:
            raise RefusedRequest(403, "pages of other sites may not ask this")
        origin = own.get(b"origin")
        if origin is not None and origin.lower() not in {
            b"http://" + authority,
            b"https://" + authority,
        }:
            raise RefusedRequest(403, "pages of other sites may not ask this")
        if right is Right.SIGN_IN:
            return
        if (self.needs_token or right is Right.WRITE) and not self._is_known(own):
            raise RefusedRequest(
                401,
                "send the gateway's token as Authorization: Bearer TOKEN; the line that it prints"
                " at its start names the file",
                b"www-authenticate: Bearer",
            )

    def is_token(self, authorization: bytes) -> bool:
        """Whether it is the gateway's own token, which opens this door and no other."""
        scheme, _, given = authorization.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token)

    def _is_known(self, own: dict[bytes, bytes]) -> bool:
        if own.get(b"authorization", b"")[:7].lower() == b"bearer ":
            return self.is_token(own[b"authorization"])
        return self.sessions.is_known(own.get(b"cookie", b""))
