"""The calls that a gateway holds, said to the store: so that what they wait for is on its way.

A call that finds its service asleep wakes it at once. How many are held goes out twice a second
while any are, however many there are, and once when none are any more. The store is spoken to in
threads; while it is away nothing is said, and calls are held as for any replica that is missing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...store.records import LoadPlace
    from ...store.store import Store
    from .table import RoutedService

log = logging.getLogger(__name__)

PAUSE_S: Final = 0.5


class HeldDemand:
    """Speaks for one gateway, in its loop."""

    def __init__(self, store: Store) -> None:
        """Say nothing before the first call is held."""
        self._store = store
        self._reporter = f"gateway:{secrets.token_hex(8)}"
        self._holding: dict[RoutedService, None] = {}
        self._changed = asyncio.Event()
        self._waking: dict[LoadPlace, asyncio.Task[None]] = {}

    def held(self, service: RoutedService) -> None:
        """Take that a call is held for a service; wake it when it sleeps."""
        self._holding[service] = None
        self._changed.set()
        place = _place(service)
        if service.view.is_asleep and place not in self._waking:
            self._waking[place] = asyncio.ensure_future(self._wake(place))

    async def run(self) -> None:
        """Report until it is cancelled."""
        has_said = False
        while True:
            await self._changed.wait()
            loads = {_place(each): (0.0, float(len(each.waiting))) for each in self._holding}
            if any(held for _, held in loads.values()) or has_said:
                has_said = await self._say(loads)
            self._holding = {each: None for each in self._holding if each.waiting}
            if not self._holding and not has_said:
                self._changed.clear()
            await asyncio.sleep(PAUSE_S)

    async def _say(self, loads: dict[LoadPlace, tuple[float, float]]) -> bool:
        """Report; return whether something was said that has to be taken back."""
        await self._tell(lambda: self._store.registry.report_load(self._reporter, loads))
        return any(held for _, held in loads.values())

    async def _wake(self, place: LoadPlace) -> None:
        try:
            await self._tell(lambda: self._store.deployments.wake(*place))
        finally:
            del self._waking[place]

    async def _tell(self, call: Callable[[], object]) -> None:
        try:
            await asyncio.to_thread(call)
        except Exception as error:
            log.warning("gateway.unheard: %s", error, extra={"event": "gateway.unheard"})


def _place(service: RoutedService) -> LoadPlace:
    view = service.view
    return view.deployment, view.generation, view.path
