"""What the world is told about this agent's replicas: published, withdrawn, dropped, their output.

Every record goes under the agent's lease and is signed, so that callers trust no endpoint that a
worker didn't make. Calls are repeated while Redis is away, and each carries the whole state, so a
repeated or late one is harmless. A replica that was made void (its agent was fenced) is no longer
spoken of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.records import ReplicaRecord
from orchestrator.states import ReplicaState

if TYPE_CHECKING:
    from orchestrator.store import Store
    from orchestrator.transport import Signer

    from .held import HeldReplica
    from .link import Link


class Registrar:
    """Writes the replicas of the agent `agent_id`, whose name is `worker`."""

    def __init__(
        self, store: Store, signer: Signer, link: Link, *, agent_id: str, worker: str
    ) -> None:
        """Write nothing yet."""
        self._store, self._signer, self._link = store, signer, link
        self.agent_id = agent_id
        self._worker = worker

    async def put(
        self, held: HeldReplica, state: ReplicaState, reason: str = "", *, restore: bool = False
    ) -> bool:
        """Register the replica in that state; False when its generation or our lease has ended.

        `restore` brings back one that a store knew before it lost its data.
        """
        if held.is_void:
            return False
        held.state = state
        record = self._record(held, reason)
        return await self._link.insist(
            self._store.put_replica, self.agent_id, record, restore=restore
        )

    async def drop(self, held: HeldReplica, reason: str) -> None:
        """Take the replica out of the registry."""
        if held.is_void:
            return
        name, number = held.generation.place
        await self.print(held)
        drop = self._store.drop_replica
        state = ReplicaState.STOPPED if held.is_stopping else ReplicaState.LOST
        await self._link.insist(lambda: drop(name, number, held.id, reason, state=state))

    async def print(self, held: HeldReplica) -> None:
        """Store what the replica has printed since the last time."""
        name, number = held.generation.place
        log = self._store.replica_log
        for fd, text in held.output.take():
            path = held.service.path
            await self._link.insist(log, name, number, path, held.id, text, fd=fd)

    def _record(self, held: HeldReplica, reason: str) -> ReplicaRecord:
        name, number = held.generation.place
        path = held.service.path
        at = f"{held.url} {held.token}"
        return ReplicaRecord(
            replica=held.id,
            name=name,
            generation=number,
            path=path,
            agent_id=self.agent_id,
            worker=self._worker,
            state=held.state,
            url=held.url,
            token=held.token,
            signature=self._signer.sign_endpoint(name, number, path, held.id, at),
            since=held.since,
            pid=held.pid or 0,
            reason=reason,
        )
