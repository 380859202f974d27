"""Where an agent takes its tasks from: which queues, in which order, and how many at once.

Its own queue comes first: what waits there is for a replica that it has prepared, and for nobody
else. Then come tasks that need resources which it has free, one at a time, as the next may no
longer fit. Then the plain queues. How much room there is, the agent says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .exchange_loop import Want

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

    from ..devices.resources import Resources
    from ..work.identity import Identity
    from .store_client import StoreClient

_OWN_LIMIT = 16


class QueueSelection:
    """The queues of one agent; `look` keeps up with those that name resources."""

    def __init__(
        self, identity: Identity, store: Store, link: StoreClient, resources: Resources
    ) -> None:
        """Know of no queue that names resources yet."""
        self._identity, self._store, self._link = identity, store, link
        self._resources = resources
        self._special: Sequence[str] = ()

    def wants(self, agent_id: str, room: int, *, is_adoptable: bool) -> list[Want]:
        """Say what may be claimed when `room` tasks can start.

        Deploys for replicas that wait here (`is_adoptable`) need no room: they run already.
        """
        own = self._identity.own_queue(agent_id)
        wants = []
        if is_adoptable:
            wants.append(Want(queues=(own,), limit=_OWN_LIMIT))
        if room > 0 and (special := self._resources.servable(self._special)):
            wants.append(Want(queues=special, limit=1))
            room -= 1
        if room > 0:
            wants.append(Want(queues=(own, *self._identity.plain), limit=room))
        return wants

    def blocked(self) -> list[Mapping[str, float]]:
        """Return what tasks that were seen waiting need, and isn't free here."""
        needed = map(self._resources.needs, self._special)
        return [needs for needs in needed if needs and not self._resources.covers(needs)]

    async def look(self) -> bool:
        """Find the queues of tasks that need what this worker offers; whether any has some."""
        if not self._identity.resources:
            return False
        client, keys = self._store.clients.scripts, self._store.keys
        found = await self._link.insist(client.smembers, f"{keys.rq}:queues")
        names = [os.fsdecode(key).removeprefix(keys.queue("")) for key in found]
        fitting = [name for name in names if self._resources.needs(name)]
        queued = await self._link.insist(self._store.tasks.queued, fitting) if fitting else {}
        self._special = [name for name, length in queued.items() if length]
        return bool(self._special)

    async def retries(self) -> int:
        """Count the tasks of the plain queues that wait for their next try."""
        client, rq = self._store.clients.scripts, self._store.keys.rq
        waiting = 0
        for queue in self._identity.plain:
            waiting += int(await self._link.insist(client.zcard, f"{rq}:scheduled:{queue}"))
        return waiting
