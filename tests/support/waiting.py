"""Waits for what another process or thread will do.

It owns the only loop in the tests that looks again and again. A caller says what should become
true and in which words its absence is to be reported; how often to look is decided here.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.1


def wait_until(
    predicate: Callable[[], T],
    *,
    description: str,
    timeout: float = 30.0,
) -> T:
    """Return the first true value of `predicate`, which is called until it gives one.

    Raises:
        AssertionError: nothing true came within `timeout` seconds; names `description` and the
            last value.

    """
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE_S
    while True:
        value = predicate()
        if value:
            return value
        left = deadline - time.monotonic()
        if left <= 0:
            raise AssertionError(f"not within {timeout:g} s: {description} (last seen: {value!r})")
        # An event that nobody sets: a pause that a signal handler may cut short.
        threading.Event().wait(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE_S)
