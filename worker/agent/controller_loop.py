"""The thread in which an agent sweeps and does the controller's rounds.

Every agent offers itself; the leader lease in the store decides who acts. A round comes each
second, twice while services that follow their calls have any, and sooner when the registry has
changed or a lease has ended. While nothing is active there
is nobody to lead, and a sweep comes seldom, until the bell has rung. A round that fails, because
Redis is away or one generation can't be read, is told once and tried again: the rounds are
level-triggered, so one that is missed is only a delay.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from rootward.orchestrator.control.controller import Controller

from .heartbeat import IDLE_LEASES

if TYPE_CHECKING:
    from rootward.orchestrator.security.signing import Signer
    from rootward.orchestrator.store.store import Store

logger = logging.getLogger(__name__)

ROUND_S = 1.0
BUSY_ROUND_S = 0.5
REST_S = 0.05


class ControllerLoop:
    """Does the rounds for the agent `agent_id`; `lease_s` is the leader's lease in seconds."""

    def __init__(self, store: Store, signer: Signer, agent_id: str, lease_s: float) -> None:
        """Start nothing yet."""
        self._store, self._signer, self._lease_s = store, signer, lease_s
        self._stop = threading.Event()
        self._roused = threading.Event()
        self._is_failing = False
        self._seen: str | None = None
        self._thread = threading.Thread(target=self._run, name="rootward-rounds", daemon=True)
        self.rename(agent_id)

    def start(self) -> None:
        """Begin with a round."""
        self._thread.start()

    def rename(self, agent_id: str) -> None:
        """Go on as another incarnation, which leads nothing yet."""
        self._agent_id = agent_id
        self._controller = Controller(self._store, self._signer, agent_id, self._lease_s)

    def stop(self) -> None:
        """Stop; returns at once, a round that is under way ends by itself."""
        self._stop.set()
        self.rouse()

    def rouse(self) -> None:
        """Do a round at once if nothing was active in the last one: something may be now."""
        self._roused.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._roused.clear()
                self._run_once()
            except Exception as error:
                if not self._is_failing and not self._stop.is_set():
                    logger.warning(
                        "the controller's round failed: %s", error, extra={"event": "round.failed"}
                    )
                self._is_failing = True
                self._stop.wait(ROUND_S)

    def _run_once(self) -> None:
        # Everyone sweeps, as a sweep that is late by a dead leader's lease spares the dead.
        swept = self._store.agents.sweep(round(self._lease_s * 1000), self._agent_id)
        round_s = IDLE_LEASES * self._lease_s if swept.is_idle else ROUND_S
        due_s = round_s if swept.due_ms is None else swept.due_ms / 1000
        next_at = time.monotonic() + min(round_s, due_s)
        if not swept.is_idle:
            self._controller.run_once(time.time(), is_swept=True)
            if self._controller.is_busy:
                # More replicas are to be asked for within two seconds of the calls for them.
                next_at = min(next_at, time.monotonic() + BUSY_ROUND_S)
        self._is_failing = False
        if swept.is_idle:
            # A hair later than the lease's end.
            self._roused.wait(max(0.0, next_at - time.monotonic()) + 0.001)
        else:
            self._await_change(next_at)

    def _await_change(self, until: float) -> None:
        """Wait until replicas have come or gone, which may let others come or go, or that time."""
        if self._seen is None:
            self._seen = self._store.registry.changes_end()
        # Not 0, which would be for ever; a hair later than the lease's end.
        left_ms = max(0, round((until - time.monotonic()) * 1000)) + 1
        changes = self._store.registry.changes(self._seen, block_ms=left_ms)
        if changes:
            self._seen = changes[-1].id
            self._stop.wait(REST_S)
