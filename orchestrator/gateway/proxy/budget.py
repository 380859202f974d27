"""How many calls of a service may be sent again, so that repeats never double a broken one's load.

Repeats are at most a fifth of the calls of the last seconds, and a few more, so that a rare call
is repeated too. Those that a working replica loses by its end are free: they were its load, and
are nobody's now. It only counts; whether a call could be repeated is found before.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.2
WINDOW_S: Final = 10.0
FLOOR: Final = 100
"""Repeats in a window that need no calls."""
FREE_S: Final = 1.0
"""For how long the repeats of a lost replica's calls are free."""


class Budget:
    """The repeats of one service; times in seconds, given by whoever asks."""

    __slots__ = (
        "_began",
        "_calls",
        "_calls_before",
        "_free",
        "_free_until",
        "_spent",
        "_spent_before",
    )

    def __init__(self) -> None:
        self._began = 0.0
        self._calls = self._calls_before = 0
        self._spent = self._spent_before = 0
        self._free, self._free_until = 0, 0.0

    def called(self, now: float) -> None:
        """Count a call."""
        if now - self._began >= WINDOW_S:
            self._turn(now)
        self._calls += 1

    def lost(self, calls: int, now: float) -> None:
        """Let so many repeats be free, at once: a replica that worked has lost these calls."""
        self._free = calls + (self._free if now < self._free_until else 0)
        self._free_until = now + FREE_S

    def spend(self, now: float) -> bool:
        """Take one repeat; False when there is none to be had."""
        if self._free and now < self._free_until:
            self._free -= 1
            return True
        if now - self._began >= WINDOW_S:
            self._turn(now)
        # The window slides: what was counted before it fades.
        share_before = 1.0 - (now - self._began) / WINDOW_S
        calls = self._calls + share_before * self._calls_before
        spent = self._spent + share_before * self._spent_before
        if spent >= max(FLOOR, SHARE * calls):
            return False
        self._spent += 1
        return True

    def _turn(self, now: float) -> None:
        is_next = now - self._began < 2 * WINDOW_S
        self._calls_before = self._calls if is_next else 0
        self._spent_before = self._spent if is_next else 0
        self._calls = self._spent = 0
        self._began = self._began + WINDOW_S if is_next else now
