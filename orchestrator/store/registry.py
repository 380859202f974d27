"""The part of the store that keeps the registry of replicas.

A replica is registered under the lease of its agent and goes with it. Each change is one script,
which also counts the ready ones and moves the generation between ready and degraded. Entries of
the change stream tell every mirror of the registry.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ..states import ReplicaState
from .record_codec import pack_replica

if TYPE_CHECKING:
    from .keys import Keys
    from .records import ReplicaRecord
    from .scripts import Scripts, Value


class Replicas:
    """Puts replicas into the registry and takes them out."""

    keys: Keys
    scripts: Scripts

    def put_replica(self, agent_id: str, record: ReplicaRecord, *, restore: bool = False) -> bool:
        """Register a replica or its new state; in state `ready` it is published.

        False when the agent has no lease or the generation takes no replica any more: then the
        replica must end. `restore` is for an agent that finds a store which has lost its data: it
        brings back the generation too.
        """
        args: list[Value] = [
            agent_id,
            record.replica,
            record.path,
            str(record.state),
            record.worker,
            record.reason,
            pack_replica(record),
            int(restore),
        ]
        return self.scripts.put_replica((record.name, record.generation), args)

    def drop_replica(
        self,
        name: str,
        generation: int,
        replica: str,
        reason: str = "",
        *,
        state: ReplicaState = ReplicaState.STOPPED,
    ) -> bool:
        """Take a replica out, as stopped or (LOST) as ended by itself; False when it isn't in."""
        return self.scripts.drop_replica((name, generation), replica, state, reason)

    def replica_log(
        self, name: str, generation: int, path: str, replica: str, text: str, *, fd: int = 1
    ) -> bool:
        """Store what a replica printed; False when its generation is gone."""
        # The id tells a call that redis-py repeats from one that says the same again.
        request = secrets.token_hex(8)
        return self.scripts.replica_log((name, generation), path, replica, request, [fd, text])
