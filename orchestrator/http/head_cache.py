"""Heads of requests, each kind of them read once.

Callers repeat themselves: a short head that was seen before, byte by byte, is not read again. What
it means was found by the strict reader then, and is the same now. No more than a little is
remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .framing import Request, read_request

if TYPE_CHECKING:
    from ..gateway.limits import Limits

_REMEMBERED: Final = 512
_SHORT_BYTES: Final = 1024


class Heads:
    """Reads heads for all connections of one gateway."""

    __slots__ = ("_known", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: dict[bytes, Request] = {}

    def read(self, head: bytes) -> Request:
        """Read a head, its empty line included; raises Malformed."""
        known = self._known.get(head)
        if known is None:
            known = read_request(head, self._limits)
            if len(head) <= _SHORT_BYTES:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[head] = known
        return known.again()
