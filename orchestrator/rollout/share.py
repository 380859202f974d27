"""Which of two generations gets the next call: by turns rather than by chance.

Of any hundred calls in a row a canary of 10 % gets ten, each tenth. Where the first falls is drawn,
so that many programs that make one call each give it its share too.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = 100.0


class FairShare:
    """Counts out the calls of one service; one thread at a time may ask.

    `draw()` returns a number from 0 up to, not including, 1.
    """

    __slots__ = ("_credit",)

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._credit = draw() * WHOLE

    def is_due(self, percent: float) -> bool:
        """Return whether the next call is one of the `percent` of all calls."""
        self._credit += percent
        if self._credit < WHOLE:
            return False
        self._credit -= WHOLE
        return True
