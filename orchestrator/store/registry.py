"""The registry in the store: replicas, what a generation serves, and the stream of changes.

A replica is registered under the lease of its agent and goes with it. Each change is one script,
which also counts the ready ones and moves the generation between ready and degraded. Entries of
the change stream reach every follower of the registry.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ..states import ReplicaState
from .part import StorePart, milliseconds
from .records.registry import pack_replica, read_change, read_replicas, read_serving
from .records.scaling import pack_loads, read_loads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .records import Change, GenerationBlob, LoadPlace, ReplicaRecord, Serving
    from .scripts import Value

REPORT_S = 2.5
"""Seconds for which a report of calls counts: somewhat more than twice the pause until the next."""


class RegistryStore(StorePart):
    """Puts replicas into the registry, takes them out, and reads who serves."""

    def put(
        self, agent_id: str, record: ReplicaRecord, *, restore: GenerationBlob | None = None
    ) -> bool | None:
        """Register a replica or its new state; in state `ready` it is published.

        False when the agent has no lease or the generation takes no replica any more: then the
        replica must end. None when the store has lost its data and with them the agent, which must
        join again; to `restore` then brings back the generation too.
        """
        origin: list[Value] = ["", "", 0]
        if restore is not None:
            origin = [restore.submission, restore.owner, int(restore.makes_current)]
            origin += [value for pair in restore.services.items() for value in pair]
        args: list[Value] = [
            record.name,
            record.generation,
            agent_id,
            record.replica,
            record.path,
            str(record.state),
            record.worker,
            record.reason,
            pack_replica(record),
            *origin,
        ]
        key = self._keys.generation(record.name, record.generation)
        answer = self._scripts.run("put_replica", [key], args)
        return None if answer < 0 else bool(answer)

    def drop(
        self,
        name: str,
        generation: int,
        replica: str,
        reason: str = "",
        *,
        state: ReplicaState = ReplicaState.STOPPED,
    ) -> bool:
        """Take a replica out, as stopped or (LOST) as ended by itself; False when it isn't in."""
        args: list[Value] = [name, generation, replica, state, reason]
        key = self._keys.generation(name, generation)
        return bool(self._scripts.run("drop_replica", [key], args))

    def packed(self, name: str, generation: int) -> dict[str, bytes]:
        """Return the records of a generation as they are stored, by the ids of their replicas."""
        found = self._client.hgetall(self._keys.part(name, generation, "replicas"))
        return {id_.decode(errors="replace"): value for id_, value in found.items()}

    def mend(self, record: ReplicaRecord) -> bool:
        """Write a record again that somebody else has changed; False when it is as it should be."""
        part, owner = (record.name, record.generation), (record.agent_id, record.path)
        return self._mend(part, record.replica, owner, pack_replica(record))

    def take_out(self, name: str, generation: int, replica: str) -> bool:
        """Take out a record that no agent has written; False when it is out."""
        return self._mend((name, generation), replica, ("", ""), b"")

    def strays(self, name: str, generation: int) -> list[str]:
        """Return the ids under which something is stored that is no record of a living agent's."""
        pipe = self._client.pipeline(transaction=True)
        pipe.hgetall(self._keys.part(name, generation, "replicas"))
        pipe.zrange(self._keys.agents, 0, -1)
        found, agents = pipe.execute()
        records = read_replicas(found, set(agents))
        return [id_.decode(errors="replace") for id_ in found if id_ not in records]

    def _mend(
        self, part: tuple[str, int], replica: str, owner: tuple[str, str], value: bytes
    ) -> bool:
        args: list[Value] = [*part, replica, *owner, value]
        return bool(self._scripts.run("mend", [self._keys.generation(*part)], args))

    def log(
        self, name: str, generation: int, path: str, replica: str, text: str, *, fd: int = 1
    ) -> bool:
        """Store what a replica printed; False when its generation is gone."""
        # The id tells a call that redis-py repeats from one that says the same again.
        request = secrets.token_hex(8)
        args: list[Value] = [path, replica, request, fd, text]
        key = self._keys.generation(name, generation)
        return bool(self._scripts.run("replica_log", [key], args))

    def serving(self, name: str, generation: int) -> Serving:
        """Return what a generation serves, and which generation is the current one.

        Replicas whose agent has no lease are left out. One round trip of six commands, as callers
        wait for it. Not a transaction: what changes between them is told by the stream of changes,
        and then read again.
        """
        pipe = self._client.pipeline(transaction=False)
        pipe.hmget(self._keys.name(name), "current", "latest", "canary", "canary_percent")
        key = self._keys.generation(name, generation)
        pipe.hmget(key, "state", "makes_current", "restored")
        pipe.hgetall(self._keys.part(name, generation, "services"))
        pipe.hgetall(self._keys.part(name, generation, "replicas"))
        pipe.zrange(self._keys.agents, 0, -1)
        pipe.hgetall(self._keys.part(name, generation, "scaling"))
        return read_serving(*pipe.execute())

    def report_load(self, reporter: str, loads: Mapping[LoadPlace, tuple[float, float]]) -> None:
        """Say how many calls are under way and held where `reporter` sees them, by service.

        It stands for what that reporter said before, for REPORT_S or until it says otherwise.
        """
        args: list[Value] = [reporter, pack_loads(loads), round(REPORT_S * 1000)]
        self._scripts.run("report_load", [self._keys.loads], args)

    def loads(self) -> dict[LoadPlace, tuple[float, float]]:
        """Return the calls under way and held of all services, as reported in the last REPORT_S."""
        args: list[Value] = [round(REPORT_S * 1000)]
        return read_loads(self._scripts.run("loads", [self._keys.loads], args))

    def replicas(self, name: str, generation: int) -> list[tuple[ReplicaRecord, int]]:
        """Return the replicas of a generation, each with the milliseconds left of its lease.

        What is stored there without an agent that has a lease is none (see `strays`).
        """
        pipe = self._client.pipeline(transaction=True)
        pipe.hgetall(self._keys.part(name, generation, "replicas"))
        pipe.zrange(self._keys.agents, 0, -1, withscores=True)
        pipe.time()
        found, agents, time = pipe.execute()
        now = milliseconds(time)
        ends = {agent: int(end) for agent, end in agents}
        records = read_replicas(found, ends.keys()).values()
        told = [(record, max(0, ends[record.agent_id.encode()] - now)) for record in records]
        return sorted(told, key=lambda pair: pair[0].rank)

    def changes(self, after_id: str, block_ms: int = 0) -> list[Change]:
        """Return up to 1,000 changes of the registry after `after_id`."""
        entries = self._entries(self._keys.changes, after_id, block_ms)
        return [read_change(id_, fields) for id_, fields in entries]

    def changes_end(self) -> str:
        """Return the id of the newest change: read it, then all replicas, then follow from it."""
        last = self._client.xrevrange(self._keys.changes, count=1)
        return last[0][0].decode() if last else "0-0"
