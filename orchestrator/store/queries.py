"""The part of the store that reads: deployments, generations, tasks, replicas, agents, history.

Nothing here writes. A read of several keys is one round trip, and a transaction where its parts
must fit together. Waiting reads are on the blocking client and wait at most five seconds, so that
who follows a stream notices when it should stop.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from .connection import LONGEST_BLOCK_S, Clients
from .events import Event
from .record_codec import (
    TASK_FIELDS,
    place_of,
    read_change,
    read_generation,
    read_log,
    read_serving,
    read_task,
    task_id,
    unpack_agent,
    unpack_replica,
)
from .records import (
    AgentRecord,
    Change,
    DeploymentRecord,
    GenerationRecord,
    LogEntry,
    Opening,
    ReplicaRecord,
    Serving,
    TaskRecord,
)
from .rq_compat import job_id

if TYPE_CHECKING:
    from .keys import Keys

PAGE = 1000
"""Entries of a stream, or tasks, that one round trip brings."""


class Readings:
    """Reads everything that is stored."""

    clients: Clients
    keys: Keys

    @property
    def _client(self) -> Any:
        # The types that redis-py gives its answers fit several protocols at once, and so none.
        return self.clients.scripts

    def store_id(self) -> str | None:
        """Return the random id of this store; None before the first agent has joined."""
        found = self._client.get(self.keys.store)
        return found.decode() if found else None

    def agreed(self) -> str | None:
        """Return the fingerprint of the secret that live workers have; None if none lives."""
        pipe = self._client.pipeline(transaction=True)
        pipe.get(self.keys.secret)
        pipe.zrevrange(self.keys.agents, 0, 0, withscores=True)
        pipe.time()
        found, last, (seconds, microseconds) = pipe.execute()
        is_alive = last and last[0][1] > seconds * 1000 + microseconds // 1000
        return found.decode() if found and is_alive else None

    def now(self) -> float:
        """Return the time of Redis in Unix seconds."""
        seconds, microseconds = self._client.time()
        return float(seconds + microseconds / 1e6)

    def deployment(self, name: str) -> DeploymentRecord | None:
        """Return a deployment with its newest generation; None when there is none of the name."""
        found = self._deployments([name])
        return found[0] if found else None

    def deployments(self) -> list[DeploymentRecord]:
        """Return all deployments, the one with the newest generation first."""
        names = self._client.zrevrange(self.keys.deployments, 0, -1)
        return self._deployments([name.decode() for name in names])

    def names(self) -> list[str]:
        """Return the names of all deployments, also of those whose history is over."""
        return [name.decode() for name in self._client.zrange(self.keys.deployments, 0, -1)]

    def _deployments(self, names: Sequence[str]) -> list[DeploymentRecord]:
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.hgetall(self.keys.name(name))
        answers = zip(names, pipe.execute(), strict=True)
        # A number that was only reserved is no deployment yet.
        found = {name: fields for name, fields in answers if b"latest" in fields}
        newest = self._generations([(name, int(f[b"latest"])) for name, f in found.items()])
        return [
            DeploymentRecord(
                name=name,
                created_at=int(fields[b"created"]) / 1000,
                latest=int(fields[b"latest"]),
                current=int(fields[b"current"]) if b"current" in fields else None,
                newest=newest.get((name, int(fields[b"latest"]))),
            )
            for name, fields in found.items()
        ]

    def generation(self, name: str, generation: int) -> GenerationRecord | None:
        """Return a generation; None when it never was or its history is over."""
        place = (name, generation)
        return self._generations([place]).get(place)

    def _generations(
        self, places: Sequence[tuple[str, int]]
    ) -> dict[tuple[str, int], GenerationRecord]:
        pipe = self._client.pipeline(transaction=True)
        for place in places:
            pipe.hgetall(self.keys.generation(*place))
            for part in ("services", "ready", "repairs"):
                pipe.hgetall(self.keys.part(*place, part))
            pipe.hlen(self.keys.part(*place, "replicas"))
        answers = pipe.execute()
        told = ((place, answers[5 * i : 5 * i + 5]) for i, place in enumerate(places))
        return {
            place: read_generation(*place, found, parts)
            for place, (found, *parts) in told
            if b"state" in found
        }

    def generations(self, name: str) -> list[int]:
        """Return the numbers of the generations that are stored, newest first."""
        latest = int(self._client.hget(self.keys.name(name), "latest") or 0)
        pipe = self._client.pipeline(transaction=False)
        numbers = range(latest, 0, -1)
        for number in numbers:
            pipe.exists(self.keys.generation(name, number))
        return [number for number, there in zip(numbers, pipe.execute(), strict=True) if there]

    def active(self) -> list[tuple[str, int]]:
        """Return name and number of every generation that progresses, serves or stops."""
        ids = (id_.decode() for id_ in self._client.smembers(self.keys.active))
        parts = (id_.rpartition("@") for id_ in ids)
        return sorted((name, int(number)) for name, _, number in parts)

    def tasks(self, name: str, generation: int) -> list[TaskRecord]:
        """Return the tasks of a generation in the order of its plan; none for an unknown one."""
        key = self.keys.generation(name, generation)
        total, jobs = self._client.hmget(key, "total", "jobs")
        ids = [f"{jobs.decode()}{index}" for index in range(int(total))] if total else []
        tasks: list[TaskRecord] = []
        for start in range(0, len(ids), PAGE):
            pipe = self._client.pipeline(transaction=False)
            for id_ in ids[start : start + PAGE]:
                pipe.hmget(self.keys.job(id_), TASK_FIELDS)
            for index, values in enumerate(pipe.execute(), start):
                found = {k: v for k, v in zip(TASK_FIELDS, values, strict=True) if v is not None}
                if b"rw" in found:
                    tasks.append(read_task(index, ids[index], found))
        return tasks

    def job(self, job_id: str) -> TaskRecord | None:
        """Return the task of one job, also of one outside the plan (whose index is -1)."""
        found = self._client.hgetall(self.keys.job(job_id))
        last = job_id.rpartition("-")[2]
        index = int(last) if last.isdigit() else -1
        return read_task(index, job_id, found) if b"rw" in found else None

    def place_of(self, job_id: str) -> tuple[str, int] | None:
        """Return the name and number of the generation that a job belongs to, None without one."""
        return place_of(
            self.keys.prefix, job_id, self._client.hget(self.keys.job(job_id), "rw_more")
        )

    def serving(self, name: str, generation: int) -> Serving:
        """Return what a generation serves, and which generation is the current one.

        One round trip of four commands, as callers wait for it. Not a transaction: what changes
        between them is told by the stream of changes, and then read again.
        """
        pipe = self._client.pipeline(transaction=False)
        pipe.hmget(self.keys.name(name), "current", "latest")
        pipe.hmget(self.keys.generation(name, generation), "state", "makes_current")
        pipe.hgetall(self.keys.part(name, generation, "services"))
        pipe.hvals(self.keys.part(name, generation, "replicas"))
        return read_serving(*pipe.execute())

    def replicas(self, name: str, generation: int) -> list[tuple[ReplicaRecord, int]]:
        """Return the replicas of a generation, each with the milliseconds left of its lease."""
        pipe = self._client.pipeline(transaction=True)
        pipe.hvals(self.keys.part(name, generation, "replicas"))
        pipe.zrange(self.keys.agents, 0, -1, withscores=True)
        pipe.time()
        values, agents, (seconds, microseconds) = pipe.execute()
        now = seconds * 1000 + microseconds // 1000
        ends = {agent.decode(): int(end) for agent, end in agents}
        records = [unpack_replica(value) for value in values]
        told = [(record, max(0, ends.get(record.agent_id, 0) - now)) for record in records]
        return sorted(told, key=lambda pair: pair[0].rank)

    def agents(self) -> list[AgentRecord]:
        """Return every agent that has a lease, newest first."""
        pipe = self._client.pipeline(transaction=True)
        pipe.zrange(self.keys.agents, 0, -1, withscores=True)
        pipe.time()
        leases, (seconds, microseconds) = pipe.execute()
        now = seconds * 1000 + microseconds // 1000
        pipe = self._client.pipeline(transaction=False)
        for agent, _ in leases:
            pipe.hget(self.keys.agent(agent.decode()), "info")
            pipe.scard(self.keys.held(agent.decode()))
        answers = pipe.execute()
        records = [
            AgentRecord(info=unpack_agent(info), lease_ms=max(0, int(end) - now), held=held)
            for (_, end), info, held in zip(leases, answers[::2], answers[1::2], strict=True)
            if info is not None
        ]
        return sorted(records, key=lambda record: -record.info.started_at)

    def queued(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many jobs wait on each of the queues."""
        pipe = self._client.pipeline(transaction=False)
        for queue in queues:
            pipe.llen(self.keys.queue(queue))
        return dict(zip(queues, pipe.execute(), strict=True))

    def plan(self, name: str, generation: int) -> bytes | None:
        """Return the sealed plan of a generation."""
        return _bytes(self._client.get(self.keys.part(name, generation, "plan")))

    def opening(self, name: str, generation: int) -> Opening | None:
        """Return what it takes to run a generation's first task; None when it isn't stored."""
        pipe = self._client.pipeline(transaction=False)
        pipe.get(self.keys.part(name, generation, "tree"))
        pipe.get(self.keys.part(name, generation, "plan"))
        pipe.hget(self.keys.generation(name, generation), "makes_current")
        tree, plan, makes_current = pipe.execute()
        if tree is None or plan is None or makes_current is None:
            return None
        return Opening(tree=tree, plan=plan, makes_current=makes_current == b"1")

    def states(self, name: str, generation: int, offset: int = 0, last: int = -1) -> list[bytes]:
        """Return the sealed entries of a generation's state log from `offset` to `last`.

        Negative numbers count from the end.
        """
        key = self.keys.part(name, generation, "states")
        entries: list[bytes] = self._client.lrange(key, offset, last)
        return entries

    def events(self, name: str, after_id: str = "0-0", block_ms: int = 0) -> list[Event]:
        """Return up to 1,000 events after `after_id`; with `block_ms`, wait for the first."""
        entries = self._entries(self.keys.events(name), after_id, block_ms)
        jobs = [self._job_of(name, fields) for _, fields in entries]
        tasks = self._task_ids({job for job in jobs if job})
        return [
            Event.from_fields(id_.decode(), name, fields, tasks.get(job))
            for (id_, fields), job in zip(entries, jobs, strict=True)
        ]

    def _job_of(self, name: str, fields: Any) -> str:
        """Return the job id of an event that names its task by number, else nothing."""
        number = fields.get(b"i")
        if number is None:
            return ""
        return job_id(self.keys.prefix, name, int(fields[b"gen"]), int(number))

    def _task_ids(self, jobs: Collection[str]) -> dict[str, str]:
        """Return the task ids of jobs; those that are history no more are left out."""
        pipe = self._client.pipeline(transaction=False)
        for job in jobs:
            pipe.hmget(self.keys.job(job), b"description", b"rw_tail")
        told = zip(jobs, pipe.execute() if jobs else (), strict=True)
        return {
            job: task_id({b"description": first, b"rw_tail": rest or b""})
            for job, (first, rest) in told
            if first
        }

    def logs(
        self,
        name: str,
        generation: int,
        after_id: str = "0-0",
        *,
        path: str | None = None,
        block_ms: int = 0,
    ) -> list[LogEntry]:
        """Return output after `after_id`, of one module or of all, at most 1,000 pieces.

        What is of other modules counts neither as an answer nor as an end of the waiting.
        """
        key = self.keys.part(name, generation, "logs")
        deadline = time.monotonic() + block_ms / 1000
        while True:
            left_ms = int((deadline - time.monotonic()) * 1000)
            entries = self._entries(key, after_id, max(0, left_ms))
            lines = [read_log(id_, fields) for id_, fields in entries]
            chosen = [line for line in lines if path is None or line.path == path]
            if chosen or not lines:
                return chosen
            after_id = lines[-1].id

    def changes(self, after_id: str, block_ms: int = 0) -> list[Change]:
        """Return up to 1,000 changes of the registry after `after_id`."""
        entries = self._entries(self.keys.changes, after_id, block_ms)
        return [read_change(id_, fields) for id_, fields in entries]

    def course(self, name: str, generation: int, after_id: str, block_ms: int = 0) -> str:
        """Wait until a generation has come to another state than at `after_id`; return the new id.

        That of the beginning is `0-0`; it is the same when nothing came in `block_ms`.
        """
        entries = self._entries(self.keys.part(name, generation, "course"), after_id, block_ms)
        return entries[-1][0].decode() if entries else after_id

    def changes_end(self) -> str:
        """Return the id of the newest change: read it, then all replicas, then follow from it."""
        last = self._client.xrevrange(self.keys.changes, count=1)
        return last[0][0].decode() if last else "0-0"

    def _entries(self, key: str, after_id: str, block_ms: int) -> list[tuple[bytes, Any]]:
        client: Any = self.clients.blocking if block_ms else self._client
        block = min(block_ms, int(LONGEST_BLOCK_S * 1000)) or None
        found = client.xread({key: after_id}, count=PAGE, block=block)
        return found[0][1] if found else []


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
