"""The pulse of an agent: what it does from time to time, and no oftener than something can need it.

While tasks run or replicas print, what they print is stored four times a second. Each second RQ's
tools are told how the agent stands, and stopped processes are looked for; seldom while there is
neither a task nor a replica here. It claims nothing and ends nothing but stopped processes; what a
beat finds out is told to the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from ..child.stopped_processes import StoppedProcesses

if TYPE_CHECKING:
    from ..work.assignment import Workload
    from .rq_worker import RqWorker
    from .store_client import StoreClient

logger = logging.getLogger(__name__)

TICK_S = 0.25
BEAT_S = 1.0
IDLE_S = 5.0


class HousekeepingOwner(Protocol):
    """Whose pulse it is."""

    @property
    def is_awake(self) -> bool:
        """Whether it is to look often: a task is here, or a replica comes or goes."""

    def pids(self) -> Iterable[int]:
        """Return the processes that are to be ended when somebody has stopped them."""

    async def flush(self) -> None:
        """Store what was printed."""

    async def look(self, *, is_due: bool) -> None:
        """Look for tasks to claim, and tidy up; `is_due` says that there may be some."""


class Housekeeping:
    """Beats for `client` from `run` on."""

    def __init__(
        self, engine: RqWorker, link: StoreClient, work: Workload, client: HousekeepingOwner
    ) -> None:
        """Do nothing yet; RQ's tools see an agent with `work` as busy."""
        self._engine, self._link, self._work, self._client = engine, link, work, client
        self._frozen = StoppedProcesses()
        self._roused = asyncio.Event()
        self.is_suspended = False

    def rouse(self) -> None:
        """Go on at once if it rests: a task has come, or a replica has printed, comes or goes."""
        self._roused.set()

    def suspend(self) -> None:
        """Take that RQ's workers are suspended; the next beats ask until they no longer are."""
        self.is_suspended = True
        self.rouse()

    async def run(self) -> None:
        """Beat until it is cancelled."""
        loop, client = asyncio.get_running_loop(), self._client
        beat_at = 0.0
        while True:
            self._roused.clear()
            await client.flush()
            if self._is_awake:
                beat_at = min(beat_at, loop.time() + BEAT_S)
            if loop.time() >= beat_at:
                # The beat after the last task tells that it has ended.
                beat_at = loop.time() + (BEAT_S if self._is_awake else IDLE_S)
                await self.beat()
            await asyncio.sleep(TICK_S)
            if not client.is_awake:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(beat_at):
                        await self._roused.wait()

    @property
    def _is_awake(self) -> bool:
        return self._client.is_awake or self.is_suspended

    async def beat(self) -> None:
        """Beat once."""
        client, engine, was = self._client, self._engine, self.is_suspended
        if client.is_awake:
            for pid in self._frozen.end(client.pids(), time.monotonic()):
                logger.warning(
                    "process %d was stopped: killed", pid, extra={"event": "process.frozen"}
                )
        try:
            self.is_suspended, has_queued = await self._link.once(engine.beat)
            # Requests go one after the other: no claim is left on its way when this is shown.
            if state := engine.unshown(is_busy=bool(self._work), is_suspended=self.is_suspended):
                await self._link.once(engine.set_state, state)
        except Exception as error:
            logger.debug("no beat: %s", error, extra={"event": "beat.missed"})
            return
        await client.look(is_due=not self.is_suspended and (was or has_queued))
