"""Signed bytes: a header before a body, good for one place and one submission.

The header is a magic number, the mark of the submission (8 bytes) and an HMAC-SHA256 over place,
mark and body (32 bytes). Who knows which submission is meant gives its mark; who doesn't learns it
from what was signed, so that nothing can be given the mark of another.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from rootward.modules.errors import SignatureError
from rootward.modules.state import values

MARK_BYTES: Final = 8
NO_MARK: Final = bytes(MARK_BYTES)
"""The mark of what belongs to no submission."""

_MAGIC: Final = b"RW2"
_MAC_BYTES: Final = 32
_MARK: Final = slice(len(_MAGIC), len(_MAGIC) + MARK_BYTES)
_MAC: Final = slice(_MARK.stop, _MARK.stop + _MAC_BYTES)
_HEADER_BYTES: Final = _MAC.stop


def mark_of(submission_id: str) -> bytes:
    """Return the mark of a submission, by the id that its caller has given it."""
    return hashlib.sha256(b"rootward mark " + submission_id.encode()).digest()[:MARK_BYTES]


class Seal:
    """Signs and checks the bodies of one place."""

    __slots__ = ("_mac", "_place", "_signed")

    def __init__(self, key: bytes, place: str) -> None:
        """`place` is told in errors: what it is, and of which generation."""
        self._mac = values.mac_of(key)
        self._place = place
        self._signed = place.encode() + b"\0"

    def close(self, body: bytes, mark: bytes) -> bytes:
        """Sign `body` as the submission's of that mark."""
        return b"".join((_MAGIC, mark, self._mac(self._signed + mark, body), body))

    def open(self, data: bytes, mark: bytes | None) -> bytes:
        """Return the body; raises SignatureError, also for another submission than `mark` says."""
        if len(data) < _HEADER_BYTES or not data.startswith(_MAGIC):
            raise SignatureError(f"{self._place}: the data carries no signature")
        found, given, body = data[_MARK], data[_MAC], data[_HEADER_BYTES:]
        if not hmac.compare_digest(self._mac(self._signed + found, body), given):
            raise not_signed(self._place)
        if mark is not None and found != mark:
            raise SignatureError(f"{self._place}: it belongs to another submission of that number")
        return body


def mark_in(data: bytes) -> bytes:
    """Return the mark in sealed data; it is right when `Seal.open` has taken them."""
    return data[_MARK]


def not_signed(what: str) -> SignatureError:
    """Return the error for what no holder of the secret made for this place and this Redis."""
    return SignatureError(
        f"{what}: not signed with this secret for this Redis; set the same ROOTWARD_SECRET here as "
        "where it was made (what was stored before Redis lost its data isn't taken back)"
    )
