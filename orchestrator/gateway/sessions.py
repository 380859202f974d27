"""Sessions of browsers: a signed cookie in place of the token, which a page never keeps.

A cookie is its end and a signature made with the token, so that several gateways with one token
know each other's, and a new token ends them all. Trying tokens is limited by the minute. Nothing
here reads requests or knows HTTP beyond the cookie's text.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Final

LASTS_S: Final = 12 * 3600
TRIES: Final = 5
_PER_S: Final = 60.0
_LONGEST: Final = 512


class Sessions:
    """The sessions of one gateway's token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._key = hashlib.sha256(b"rootward session\0" + self._token).digest()
        # Cookies don't know ports: gateways with other tokens on one host need other names.
        self.name = f"rootward-{hashlib.sha256(self._key).hexdigest()[:8]}"
        self._tried: list[float] = []

    def sign_in(self, token: str) -> str | None:
        """Return a new cookie's value, or None for a wrong token or after too many tries."""
        if not self.tries_left:
            return None
        if not hmac.compare_digest(token.strip().encode(), self._token):
            self._tried.append(time.monotonic())
            return None
        return self.value(time.time() + LASTS_S)

    @property
    def tries_left(self) -> int:
        """How many wrong tokens may still be tried within this minute."""
        now = time.monotonic()
        self._tried = [at for at in self._tried if now - at < _PER_S]
        return max(0, TRIES - len(self._tried))

    def value(self, end: float) -> str:
        """Return the value of a cookie that is good until a Unix time."""
        text = str(int(end))
        return f"{text}.{self._signature(text)}"

    def cookie(self, value: str, *, lasts_s: int = LASTS_S, is_secure: bool = False) -> str:
        """Return the whole Set-Cookie header; scripts can't read it, other sites can't send it."""
        secure = "; Secure" if is_secure else ""
        return f"{self.name}={value}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict{secure}"

    def is_known(self, header: bytes) -> bool:
        """Whether a Cookie header holds a session that still lasts."""
        for pair in header[: 16 * _LONGEST].split(b";"):
            name, _, value = pair.strip().partition(b"=")
            if name == self.name.encode() and len(value) < _LONGEST:
                return self._lasts(value.decode("latin-1"))
        return False

    def without_own(self, header: bytes) -> bytes:
        """Return a Cookie header's value without the session."""
        pairs = [pair.strip() for pair in header.split(b";")]
        own = self.name.encode() + b"="
        return b"; ".join(pair for pair in pairs if pair and not pair.startswith(own))

    def _lasts(self, value: str) -> bool:
        end, _, signature = value.partition(".")
        if not (end.isascii() and end.isdecimal()) or len(end) > 12:
            return False
        given, expected = signature.encode("latin-1"), self._signature(end).encode()
        return hmac.compare_digest(given, expected) and int(end) > time.time()

    def _signature(self, end: str) -> str:
        return hmac.new(self._key, end.encode(), hashlib.sha256).hexdigest()
