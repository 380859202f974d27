"""What the world is told about this agent's replicas: published, withdrawn, dropped, their output.

Every record goes under the agent's lease and is signed, so that callers trust no endpoint that a
worker didn't make. Calls are repeated while Redis is away, and each carries the whole state, so a
repeated or late one is harmless. A dead replica stays in the registry as long as its agent's lease,
so taking it out is also tried again when Redis refuses it. A replica that was made void (its agent
was fenced) is no longer spoken of. When Redis has lost its data, registrations wait until the agent
has joined again and what it served is back (`reopen`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from rootward.orchestrator.states import ReplicaState
from rootward.orchestrator.store.records import ReplicaRecord
from rootward.orchestrator.store.records.registry import pack_replica

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from rootward.orchestrator.security.signing import Signer
    from rootward.orchestrator.store.store import Store

    from ..agent.store_client import StoreClient
    from .replica_handle import ReplicaHandle

logger = logging.getLogger(__name__)

_ENDED = "it had ended before Redis came back with older data"
_GOODBYE_S = 2.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0


class Registrar:
    """Writes the replicas of the agent `agent_id`, whose name is `worker`."""

    def __init__(
        self, store: Store, signer: Signer, link: StoreClient, *, agent_id: str, worker: str
    ) -> None:
        """Write nothing yet."""
        self._store, self._signer, self._link = store, signer, link
        self.agent_id = agent_id
        self._worker = worker
        self._patience_s: float | None = None
        self._open = asyncio.Event()
        self._open.set()
        # Called when the store turns out to have lost its data.
        self.on_forgotten: Callable[[str], None] = lambda _: None

    def leave(self) -> None:
        """Wait for no answer much longer: the agent leaves, and its lease ends what is left."""
        self._patience_s = _GOODBYE_S

    def close(self) -> None:
        """Hold all registrations back until `reopen`."""
        self._open.clear()

    def reopen(self) -> None:
        """Go on: the agent is registered, and what it served before."""
        self._open.set()

    async def put(self, held: ReplicaHandle, state: ReplicaState, reason: str = "") -> bool:
        """Register the replica in that state; False when its generation or our lease has ended."""
        while True:
            await self._open.wait()
            if held.is_void:
                return False
            held.state = state
            held.record = record = self._record(held, reason)
            agent_id = self.agent_id
            try:
                async with asyncio.timeout(self._patience_s):
                    put = await self._link.insist(self._store.registry.put, agent_id, record)
            except TimeoutError:
                return False
            if put is not None:
                return put
            self.close()
            self.on_forgotten(agent_id)

    async def restore(self, held: ReplicaHandle) -> bool:
        """Register it as it is, and its generation too; False when that isn't wanted any more."""
        origin = held.generation.restored
        if held.is_void or origin is None:
            return False
        held.record = record = self._record(held, "")
        put = self._store.registry.put
        return bool(await self._link.insist(put, self.agent_id, record, restore=origin))

    async def drop_unknown(self, listed: Iterable[str], known: Collection[str]) -> None:
        """Take out what an older store still lists for this agent and the agent has ended."""
        for member in listed:
            place, _, replica = member.rpartition("/")
            name, _, number = place.rpartition("@")
            if replica not in known:
                drop = partial(self._store.registry.drop, name, int(number), replica, _ENDED)
                await self._link.insist(drop)

    async def drop(self, held: ReplicaHandle, reason: str) -> None:
        """Take the replica out of the registry; return when it is out, or isn't ours any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                await self._drop(held, reason)

    async def _drop(self, held: ReplicaHandle, reason: str) -> None:
        pause_s = _FIRST_PAUSE_S
        if not held.is_void:
            await self.print(held)
        while not (held.is_void or await self._is_dropped(held, reason)):
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def mend(self, held: Collection[ReplicaHandle]) -> None:
        """Put right what somebody else has written over the records of these, or beside them.

        They are all that this agent holds: whatever else names it as its owner is false.
        """
        records = [each.record for each in held if each.record is not None and not each.is_void]
        for place in {(record.name, record.generation) for record in records}:
            ours = {r.replica: r for r in records if (r.name, r.generation) == place}
            await self._mend(place, ours)

    async def _mend(self, place: tuple[str, int], ours: Mapping[str, ReplicaRecord]) -> None:
        registry = self._store.registry
        stored = await self._link.insist(registry.packed, *place)
        for replica, record in ours.items():
            is_right = stored.get(replica) == pack_replica(record)
            if not is_right and await self._link.insist(registry.mend, record):
                _warn_of_false(replica)
        mine = f" {self.agent_id} ".encode()
        for replica, value in stored.items():
            is_false = replica not in ours and mine in value.partition(b"\n")[0]
            if is_false and await self._link.insist(registry.take_out, *place, replica):
                _warn_of_false(replica)

    async def print(self, held: ReplicaHandle) -> None:
        """Store what the replica has printed since the last time, unless Redis refuses it."""
        name, number = held.generation.place
        log = self._store.registry.log
        for fd, text in held.output.take():
            path = held.service.path
            try:
                await self._link.insist(log, name, number, path, held.id, text, fd=fd)
            except RedisError as error:
                _warn("what a replica of %s has printed can't be stored: %s", path, error)

    async def _is_dropped(self, held: ReplicaHandle, reason: str) -> bool:
        name, number = held.generation.place
        drop = self._store.registry.drop
        state = ReplicaState.STOPPED if held.is_stopping else ReplicaState.LOST
        try:
            await self._link.insist(lambda: drop(name, number, held.id, reason, state=state))
        except RedisError as error:
            path = held.service.path
            _warn("a replica of %s is gone and can't be taken out of the registry: %s", path, error)
            return False
        return True

    def _record(self, held: ReplicaHandle, reason: str) -> ReplicaRecord:
        name, number = held.generation.place
        path = held.service.path
        record = ReplicaRecord(
            replica=held.id,
            name=name,
            generation=number,
            path=path,
            agent_id=self.agent_id,
            worker=self._worker,
            state=held.state,
            url=held.url,
            token=held.token,
            since=held.since,
            pid=held.pid or 0,
            reason=reason,
        )
        return replace(record, signature=self._signer.sign_endpoint(record))


def _warn_of_false(replica: str) -> None:
    logger.warning(
        "somebody else has changed the record of replica %r: it is as it was again",
        replica,
        extra={"event": "registry.mended"},
    )


def _warn(message: str, path: str, error: RedisError) -> None:
    logger.warning(message, path, error, extra={"event": "replica.untold"})
