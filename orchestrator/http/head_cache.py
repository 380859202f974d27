"""Heads of requests, each kind of them read once.

Callers repeat themselves: a short head that was seen before, byte by byte, is not read again. What
it means was found by the strict reader then, and is the same now. No more than a little is
remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_REMEMBERED: Final = 512
_SHORT_BYTES: Final = 1024


class HeadCache(Generic[T]):
    """Reads heads for all connections of one server, by what `read` makes of one."""

    __slots__ = ("_keeps", "_known", "_read")

    def __init__(
        self, read: Callable[[bytes], T], keeps: Callable[[T], bool] = lambda _: True
    ) -> None:
        """Remember nothing yet; what `keeps` refuses is read each time."""
        self._read, self._keeps = read, keeps
        self._known: dict[bytes, T] = {}

    def read(self, head: bytes) -> T:
        """Read a head, its empty line included; raises what reading raises.

        What is returned may be returned again: it must not be changed.
        """
        known = self._known.get(head)
        if known is not None:
            return known
        found = self._read(head)
        if len(head) <= _SHORT_BYTES and self._keeps(found):
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[head] = found
        return found
