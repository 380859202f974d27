"""The word to the person who waits: why nothing happens, after a while of nothing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from ..terminal import clean

if TYPE_CHECKING:
    from collections.abc import Callable

NOTICE_AFTER_S = 2.0


class Notice:
    """Tells whoever waits, once for each reason, why nothing happens."""

    def __init__(self, reason: Callable[[], str | None]) -> None:
        self._reason = reason
        self._told: str | None = None
        self._since = time.monotonic()

    def moved(self) -> None:
        """Something happened: begin to count anew."""
        self._since = time.monotonic()
        self._told = None

    def tick(self) -> None:
        """Nothing happened: after a while, look for the reason and print it."""
        if time.monotonic() - self._since < NOTICE_AFTER_S:
            return
        reason = self._reason()
        if reason is not None and reason != self._told:
            sys.stderr.write(clean(f"waiting: {reason}\n"))
            sys.stderr.flush()
        self._told = reason
