"""Reads from the store all that the board shows; runs in a thread, one call at a time.

What a read costs is kept small: tasks come as raw rows and only those that differ are read into
records, and a generation that has ended is read once. It keeps what it has read to compare, and
when it has heard of each worker; it writes nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rootward.modules.errors import RootwardError

from ...states import TaskState
from ...status.read_status import GONE, read_plan, read_status
from ...store.part import PAGE
from ...store.records.tasks import TASK_FIELDS, read_task
from . import documents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...security.signing import Signer
    from ...store.records import AgentRecord, GenerationRecord, ReplicaRecord, TaskRecord
    from ...store.store import Store

Place = tuple[str, int]
"""A deployment's name and a generation."""

LOST_KEPT_S: Final = 600.0
_WHY_EVERY_S: Final = 2.0


@dataclass(slots=True)
class Rows:
    """The tasks of one generation as they were last read, and what they were read for."""

    raw: list[list[bytes | None]] = field(default_factory=list)
    tasks: list[TaskRecord] = field(default_factory=list)
    read_for: object = None
    why: str | None = None
    why_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One read: the documents of all, and those of each watched generation by its prefix."""

    overview: dict[str, Any]
    watched: dict[str, dict[str, Any]]
    queued: int
    busy: int
    at: float


class FleetReader:
    """Reads the whole picture; `watched` generations with their graphs and tasks."""

    def __init__(self, store: Store, signer: Signer) -> None:
        self._store, self._signer = store, signer
        self._rows: dict[Place, Rows] = {}
        self._graphs: dict[Place, dict[str, Any]] = {}
        self._leases: dict[str, tuple[float, float]] = {}
        self._known: dict[str, AgentRecord] = {}
        self._lost: dict[str, tuple[float, dict[str, Any]]] = {}

    def read(self, watched: Iterable[Place]) -> Picture:
        """Read everything; raises redis-py's errors."""
        wanted, now = set(watched), self._store.agents.now()
        agents = self._store.agents.all()
        overview: dict[str, Any] = {}
        running: list[tuple[str, int, TaskRecord]] = []
        replicas: list[ReplicaRecord] = []
        seen: dict[Place, GenerationRecord] = {}
        queued: list[float] = []
        for deployment in self._store.deployments.all():
            for record in self._generations_of(deployment):
                place = (record.name, record.generation)
                seen[place] = record
                tasks = self._tasks(record)
                why = self._why(record, tasks)
                overview[f"d/{record.name}@{record.generation}"] = documents.generation_document(
                    record, deployment, tasks, why
                )
                running += [(*place, t) for t in tasks if t.state is TaskState.RUNNING]
                queued += [t.queued_at or now for t in tasks if t.state is TaskState.QUEUED]
                if record.services:
                    found = self._store.registry.replicas(*place)
                    replicas += [each for each, _ in found if each.state not in GONE]
                    if record.generation == (deployment.current or deployment.latest):
                        overview |= documents.service_documents(record, found)
        overview |= self._workers(agents, running, replicas, now)
        busy = min(sum(a.slots for a in agents), len(running))
        overview["h"] = self._heard(agents, now)
        overview["q"] = {
            "queued": len(queued),
            "since": min(queued, default=None),
            "busy": busy,
            "slots": sum(agent.slots for agent in agents),
        }
        by_place = {place: self._watched(place, seen) for place in wanted}
        self._forget(wanted | seen.keys())
        pictures = {f"{name}@{number}": found for (name, number), found in by_place.items()}
        return Picture(overview=overview, watched=pictures, queued=len(queued), busy=busy, at=now)

    def _generations_of(self, deployment: Any) -> list[GenerationRecord]:
        found = [] if deployment.newest is None else [deployment.newest]
        for number in (deployment.current, deployment.canary):
            if number is not None and number != deployment.latest:
                beside = self._store.deployments.generation(deployment.name, number)
                found += [] if beside is None else [beside]
        return found

    def _tasks(self, record: GenerationRecord) -> list[TaskRecord]:
        place = (record.name, record.generation)
        rows = self._rows.setdefault(place, Rows())
        mark = (record.state, record.left, record.failed, record.ended_at)
        if record.left == 0 and rows.read_for == mark:
            return rows.tasks
        raw: list[list[bytes | None]] = []
        while True:
            page = self._store.tasks.rows(*place, len(raw))
            raw += page
            if len(page) < PAGE:
                break
        for index, row in enumerate(raw):
            is_known = index < len(rows.tasks)
            if is_known and rows.raw[index] == row:
                continue
            found = {k: v for k, v in zip(TASK_FIELDS, row, strict=True) if v is not None}
            if b"rw" not in found:
                continue
            task = read_task(index, "", found)
            if is_known:
                rows.tasks[index] = task
            else:
                rows.tasks.append(task)
        if len(rows.tasks) != len(raw):
            del rows.tasks[len(raw) :]
        rows.raw, rows.read_for = raw, mark
        return rows.tasks

    def _why(self, record: GenerationRecord, tasks: list[TaskRecord]) -> str | None:
        """Return why it waits; that is looked for only now and then, as it reads the plan."""
        rows = self._rows[record.name, record.generation]
        states = {task.state for task in tasks}
        if record.reason is not None or not record.state.is_progressing:
            return record.reason
        if TaskState.QUEUED not in states or TaskState.RUNNING in states:
            rows.why = None
            return None
        if time.monotonic() - rows.why_at > _WHY_EVERY_S:
            rows.why = read_status(self._store, record, self._signer).reason
            rows.why_at = time.monotonic()
        return rows.why

    def _watched(self, place: Place, seen: dict[Place, GenerationRecord]) -> dict[str, Any]:
        """Return the graph and the tasks of one generation, which may be an old one."""
        id_ = f"{place[0]}@{place[1]}"
        record = seen.get(place) or self._store.deployments.generation(*place)
        if record is None:
            return {f"g/{id_}": None}
        if place not in self._graphs:
            self._graphs[place] = documents.graph_document(self._plan(place), record)
        found: dict[str, Any] = {f"g/{id_}": self._graphs[place]}
        for task in self._tasks(record):
            found[f"t/{id_}/{task.index}"] = documents.task_document(task)
        if place not in seen:
            deployment = self._store.deployments.get(place[0])
            if deployment is not None:
                found[f"d/{id_}"] = documents.generation_document(
                    record, deployment, self._tasks(record), record.reason
                )
        return found

    def _plan(self, place: Place) -> Any:
        try:
            return read_plan(self._store, self._signer, *place)
        except RootwardError:
            # A plan that another secret signed, or that another version wrote, isn't shown.
            return None

    def _workers(
        self,
        agents: list[AgentRecord],
        running: list[tuple[str, int, TaskRecord]],
        replicas: list[ReplicaRecord],
        now: float,
    ) -> dict[str, Any]:
        tasks_of: dict[str | None, list[tuple[str, int, TaskRecord]]] = defaultdict(list)
        for name, number, task in running:
            tasks_of[task.agent_id].append((name, number, task))
        replicas_of: dict[str, list[ReplicaRecord]] = defaultdict(list)
        for replica in replicas:
            replicas_of[replica.agent_id].append(replica)
        live = {agent.id: agent for agent in agents}
        for id_ in self._known.keys() - live.keys():
            gone = self._known[id_]
            # One that said that it leaves isn't lost.
            if gone.state == "running":
                document = documents.worker_document(gone, (), ())
                heard = self._leases.get(id_, (0.0, now))[1]
                self._lost[id_] = (now, {**document, "state": "lost", "heard_at": heard})
        self._known = live
        self._lost = {
            id_: (at, told)
            for id_, (at, told) in self._lost.items()
            if now - at < LOST_KEPT_S
            and id_ not in live
            and told["worker"] not in {agent.worker for agent in agents}
        }
        found = {
            f"w/{id_}": documents.worker_document(agent, tasks_of[id_], replicas_of[id_])
            for id_, agent in live.items()
        }
        return found | {f"w/{id_}": told for id_, (_, told) in self._lost.items()}

    def _heard(self, agents: list[AgentRecord], now: float) -> dict[str, float]:
        """Return when each worker last renewed its lease: as far as the looks from here tell."""
        heard = {}
        for agent in agents:
            end = round(now + agent.lease_ms / 1000, 1)
            known = self._leases.get(agent.id)
            if known is None or abs(known[0] - end) > 0.3:
                known = (end, round(now, 1))
            heard[agent.id] = known
        self._leases = heard
        return {id_: at for id_, (_, at) in heard.items()}

    def _forget(self, kept: set[Place]) -> None:
        for places in (self._rows, self._graphs):
            for place in places.keys() - kept:
                del places[place]
