"""The thread that waits: blocking reads of the bell and of the agent's own inbox.

Nothing is taken by these reads, so one that is lost or doubled costs nothing: only a claim takes
a job. After a ring the thread rests for a moment, so that a burst of releases wakes the loop once
and not once for each. When Redis is away it waits and reads on where it was.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

logger = logging.getLogger(__name__)

BLOCK_MS = 5000
_REST_S = 0.002
_PAUSE_S = 0.25

OnRing = Callable[[bool, tuple[Mapping[str, Any], ...]], None]


class Inbox:
    """Calls `on_ring(released, commands)` from its thread; after an outage with `released` true."""

    def __init__(self, store: Store, agent_id: str, on_ring: OnRing) -> None:
        """Start nothing yet."""
        self._store = store
        self._agent_id = agent_id
        self._on_ring = on_ring
        self._reads_for = agent_id
        self._cursors: Mapping[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rootward-bell", daemon=True)

    def start(self) -> None:
        """Begin to listen; what was released before is not told."""
        self._thread.start()

    def rename(self, agent_id: str) -> None:
        """Listen to the inbox of another incarnation from the next read on."""
        self._agent_id = agent_id

    def stop(self) -> None:
        """Stop listening; returns at once, the thread ends with its read."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen_once()
            except Exception as error:
                logger.debug("the bell is away: %s", error, extra={"event": "bell.away"})
                self._stop.wait(_PAUSE_S)
                # What was released meanwhile rings no more.
                self._tell(True, ())

    def _listen_once(self) -> None:
        agent_id = self._agent_id
        if agent_id != self._reads_for:
            # Another incarnation has another inbox, and reads it from the beginning.
            self._reads_for, self._cursors = agent_id, {}
        heard = self._store.agents.wait_bell(agent_id, self._cursors, BLOCK_MS)
        self._cursors = heard.cursors
        if heard.rung or heard.commands:
            self._tell(heard.rung, heard.commands)
            self._stop.wait(_REST_S)

    def _tell(self, rung: bool, commands: tuple[Mapping[str, Any], ...]) -> None:
        if not self._stop.is_set():
            self._on_ring(rung, commands)
