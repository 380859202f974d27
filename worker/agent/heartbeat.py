"""The keeper: renews the one lease under which an agent holds its jobs and replicas.

It has a thread and a connection of its own, so that neither a busy loop nor a slow call delays a
renewal. Each renewal tells one of three things: the lease holds; the store has lost its data (it
has no trace of the agent, or knows of fewer renewals than were answered), so that the agent must
join and publish again; or the lease had ended and was given up, so that all the agent holds is
void. What follows from that is the agent's business.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

logger = logging.getLogger(__name__)

IDLE_LEASES = 2
"""How many leases long one is while nothing is active: there is nothing to be found out then."""
IDLE_SHARE = 0.4
"""After which share of such a lease it is renewed: more than a usual one is left then."""
_RETRY_S = 0.25
_SHORTEST_S = 3.0
EXCLUSIVE_SHARE = 0.7


class LeaseState(Enum):
    """How an agent stands after a renewal."""

    HELD = auto()
    EMPTIED = auto()
    FENCED = auto()
    UNHEARD = auto()


class Heartbeat:
    """Renews after a third of the lease; calls `on_standing(standing, agent id)` from its thread.

    `HELD` is told only after something else was. `UNHEARD` comes once, at 0.7 of a lease without a
    renewal: from then on others may have been given what this agent holds exclusively. While
    nothing is active the leases are longer ones, until `rouse`.
    """

    def __init__(
        self,
        store: Store,
        agent_id: str,
        lease_s: float,
        on_standing: Callable[[LeaseState, str], None],
    ) -> None:
        """Start nothing yet; `lease_s` in seconds."""
        self._store = store
        self._agent_id = agent_id
        self._lease_s = lease_s
        self._on_standing = on_standing
        self._standing = LeaseState.HELD
        self._joins = self._rouses = self._beats = 0
        self._is_idle = False
        self._renewed_at = time.monotonic()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rootward-keeper", daemon=True)

    def left_s(self, *, exclusive: bool) -> float:
        """Return for how long (seconds) a replica may go on without hearing again.

        One that may run beside its successor needs a living agent, an exclusive one a lease.
        """
        if not exclusive:
            return max(self._lease_s, _SHORTEST_S)
        return self._renewed_at + EXCLUSIVE_SHARE * self._lease_s - time.monotonic()

    @property
    def lease_left_s(self) -> float:
        """Seconds that are left of the lease, as far as is known here."""
        return max(0.0, self._renewed_at + self._length_s - time.monotonic())

    @property
    def _length_s(self) -> float:
        return self._lease_s * (IDLE_LEASES if self._is_idle else 1)

    def start(self) -> None:
        """Begin to renew; the agent has just joined."""
        self._thread.start()

    def rejoined(self, agent_id: str) -> None:
        """Go on with the lease that the agent has now."""
        self._agent_id, self._beats = agent_id, 0
        self._joins += 1
        self._standing = LeaseState.HELD
        self._renewed_at, self._is_idle = time.monotonic(), False
        self._wake.set()

    def rouse(self) -> None:
        """Renew at once if nothing was active when it was last asked: something may be now."""
        self._rouses += 1
        if self._is_idle:
            self._wake.set()

    def stop(self) -> None:
        """Stop renewing; returns at once. Stopping twice is harmless."""
        self._stop.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self.run_once(time.monotonic()))
            self._wake.clear()

    def run_once(self, now: float) -> float:
        """Renew once and tell what changed; return the seconds until the next time."""
        joins, rouses = self._joins, self._rouses
        lease_ms = round(self._lease_s * 1000)
        try:
            renewed = self._store.agents.renew(
                self._agent_id, lease_ms, idle_ms=IDLE_LEASES * lease_ms, beats=self._beats
            )
        except Exception as error:
            logger.debug("no renewal: %s", error, extra={"event": "lease.unheard"})
            if now - self._renewed_at >= EXCLUSIVE_SHARE * self._length_s:
                self._tell(LeaseState.UNHEARD)
            return min(_RETRY_S, self._lease_s / 10)
        if joins != self._joins:
            # It was asked before the agent joined anew: the answer is about the lease before.
            return 0.0
        if renewed.known:
            # The lease counts from when the call was made, not from when its answer came.
            self._renewed_at, self._is_idle = now, renewed.is_idle
            self._beats += 1
            self._tell(LeaseState.HELD)
        elif renewed.is_forgotten:
            self._tell(LeaseState.EMPTIED)
        else:
            self._tell(LeaseState.FENCED)
        if self._is_idle and rouses != self._rouses:
            # What roused it may have come after the answer was made.
            return 0.0
        return self._length_s * IDLE_SHARE if self._is_idle else self._length_s / 3

    def _tell(self, standing: LeaseState) -> None:
        if standing is not self._standing and not self._stop.is_set():
            self._standing = standing
            self._on_standing(standing, self._agent_id)
