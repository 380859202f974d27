"""How many calls the services of this agent's replicas have, said to the store for the controller.

Replicas say how many calls are under way in them, slots and replicas how many they hold for
another service. All of it goes out as one report, a few times a second while there is any, however
many calls there are; while there is none nothing is said. A call that waits for a service that
sleeps wakes it at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from rootward.orchestrator.states import ReplicaState

if TYPE_CHECKING:
    from rootward.orchestrator.store.records import LoadPlace

    from ..replicas.supervisor import Supervisor
    from ..work.generations import Generations

logger = logging.getLogger(__name__)

PAUSE_S: Final = 0.3
_SERVING = frozenset({ReplicaState.READY, ReplicaState.UNREADY, ReplicaState.DRAINING})


class Demand:
    """Reports for one agent, in its loop, as `reporter`."""

    def __init__(self, supervisor: Supervisor, generations: Generations) -> None:
        """Report nothing yet; `run` does."""
        self._supervisor, self._generations = supervisor, generations
        self._store, self._link = generations.store, generations.link
        self._mirror = generations.mirror
        self._changed = asyncio.Event()
        self._waking: dict[LoadPlace, asyncio.Task[None]] = {}
        generations.on_demand = self._changed.set
        generations.on_asleep = self._note_asleep

    async def run(self, reporter: str) -> None:
        """Report until it is cancelled."""
        has_said = False
        while True:
            await self._changed.wait()
            self._changed.clear()
            loads = self.loads()
            if loads or has_said:
                await self._say(reporter, loads)
                has_said = bool(loads)
            if has_said:
                # As long as it is said it has to be said again: it counts for a short time only.
                self._changed.set()
            await asyncio.sleep(PAUSE_S)

    def loads(self) -> dict[LoadPlace, tuple[float, float]]:
        """Return the calls under way and held of each service that follows its calls."""
        loads: dict[LoadPlace, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        for each in self._supervisor.held:
            place = (*each.generation.place, each.service.path)
            if each.load and each.state in _SERVING and self._follows(place, each.service.bounds):
                under_way, held = loads[place]
                loads[place] = (under_way + each.load, held)
        for generation in self._generations:
            name, number = generation.name, self._number(generation.routes_of)
            for path, count in generation.held.items() if number is not None else ():
                assert number is not None
                under_way, held = loads[name, number, path]
                loads[name, number, path] = (under_way, held + count)
        return dict(loads)

    def _follows(self, place: LoadPlace, bounds: object) -> bool:
        """Whether the number of replicas there depends on the calls."""
        return bounds is not None or self._mirror.is_asked_for(*place)

    def _number(self, routes_of: tuple[str, int | None]) -> int | None:
        name, number = routes_of
        return self._mirror.current(name) if number is None else number

    def _note_asleep(self, routes_of: tuple[str, int | None], path: str) -> None:
        number = self._number(routes_of)
        place = (routes_of[0], number or 0, path)
        if number is not None and place not in self._waking:
            # Beside the reports, which pause: a call waits for it.
            self._waking[place] = asyncio.create_task(self._wake(place))

    async def _wake(self, place: LoadPlace) -> None:
        try:
            await self._link.once(self._store.deployments.wake, *place)
        except Exception as error:
            logger.warning(
                "%s can't be woken: %s", place[2], error, extra={"event": "service.unwoken"}
            )
        finally:
            del self._waking[place]

    async def _say(self, reporter: str, loads: dict[LoadPlace, tuple[float, float]]) -> None:
        try:
            await self._link.once(self._store.registry.report_load, reporter, loads)
        except Exception as error:
            logger.debug("no report: %s", error, extra={"event": "load.unsaid"})
