"""The calls that a program holds, as it says them: so that what they wait for is on its way.

A call that finds its service asleep wakes it at once; how many are held goes out with the
registry's rounds, a second apart, and not with each call. Nothing here fails a call: while Redis is
away nobody is woken, and the calls are held as for any other replica that is missing.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..store.records import LoadPlace
    from ..store.store import Store

log = logging.getLogger(__name__)

WAKE_AGAIN_S: Final = 0.1


class HeldCalls:
    """Calls held in this process, by service; safe to use from any thread."""

    def __init__(self, store: Store) -> None:
        """Hold none yet."""
        self._store = store
        self._reporter = f"program:{secrets.token_hex(8)}"
        self._lock = threading.Lock()
        self._held: dict[LoadPlace, int] = {}
        self._woken: dict[LoadPlace, float] = {}
        self._has_said = False

    def note(self, place: LoadPlace, count: int, *, is_asleep: bool) -> None:
        """Take how many calls are held for a service now; wake it when it sleeps."""
        with self._lock:
            if count:
                self._held[place] = count
            else:
                self._held.pop(place, None)
            now = time.monotonic()
            wakes = count > 0 and is_asleep and now - self._woken.get(place, 0.0) >= WAKE_AGAIN_S
            if wakes:
                self._woken[place] = now
        if wakes:
            try:
                self._store.deployments.wake(*place)
            except Exception as error:
                log.warning(
                    "%s can't be woken: %s", place[2], error, extra={"event": "service.unwoken"}
                )

    def report(self) -> None:
        """Say how many are held, while any are, and once when none are any more."""
        with self._lock:
            held = {place: (0.0, float(count)) for place, count in self._held.items()}
        if held or self._has_said:
            self._store.registry.report_load(self._reporter, held)
            self._has_said = bool(held)
