"""The documents of the board, made of records: pure functions of their arguments.

Keys: `d/NAME@G` a generation, `s/PATH` a service, `m/PATH` its measured figures, `w/ID` a worker,
`h` when each worker was heard, `q` the queue and the slots, `g/NAME@G` a plan as a graph,
`t/NAME@G/N` its task N. Times are Unix seconds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from ...states import ReplicaState, TaskState
from ...status.documents import device_holders, used_amounts
from ...status.read_status import GONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...planning.plan import Plan
    from ...store.records import (
        AgentRecord,
        DeploymentRecord,
        GenerationRecord,
        ReplicaRecord,
        TaskRecord,
    )

MOST_SHOWN: Final = 3
_LONGEST_MESSAGE: Final = 400


def generation_document(
    record: GenerationRecord,
    deployment: DeploymentRecord,
    tasks: Sequence[TaskRecord],
    reason: str | None,
) -> dict[str, Any]:
    """Return what lists show of a generation: counts, what runs, what failed, why it waits."""
    shown = [task for task in tasks if counts_for_people(task)]
    counts = Counter(str(task.state) for task in shown)
    failed = sorted(
        (task for task in shown if task.state is TaskState.FAILED), key=lambda t: t.ended_at or 0
    )
    running = [task for task in shown if task.state is TaskState.RUNNING]
    ends = [task.ended_at for task in shown if task.ended_at]
    queued = [t.queued_at for t in shown if t.state is TaskState.QUEUED and t.queued_at]
    return {
        "name": record.name,
        "generation": record.generation,
        "state": str(record.state),
        "reason": reason,
        "current": deployment.current,
        "canary": deployment.canary,
        "percent": None if deployment.canary is None else deployment.canary_percent,
        "latest": deployment.latest,
        "created_at": record.created_at,
        "ended_at": record.ended_at,
        "moved_at": max(ends, default=None),
        "kinds": list(record.kinds),
        "total": len(shown),
        "counts": dict(counts),
        "queued_since": min(queued, default=None),
        "failed": [failed_task(task) for task in failed[:MOST_SHOWN]],
        "running": [running_task(task) for task in running[:MOST_SHOWN]],
        "services": len(record.services),
        "ready": sum(record.ready.values()),
        "wanted": sum(record.services.values()),
        "short": [
            [path, record.ready.get(path, 0), wanted]
            for path, wanted in record.services.items()
            if record.ready.get(path, 0) < wanted
        ][:MOST_SHOWN],
    }


def counts_for_people(task: TaskRecord) -> bool:
    """Whether a task is counted: joins are nobody's work, a warm-up that wasn't needed is none."""
    unneeded = task.kind == "prepare" and task.state in {TaskState.SKIPPED, TaskState.CANCELLED}
    return task.kind != "join" and not unneeded


def failed_task(task: TaskRecord) -> dict[str, Any]:
    """Return a failed task with its error's own words, without the traceback."""
    error = task.error or {}
    return {
        "task": task.id,
        "kind": task.kind,
        "module": task.path,
        "type": error.get("type", ""),
        "message": (error.get("message") or task.reason or "")[:_LONGEST_MESSAGE],
        "worker": task.worker,
        "attempt": task.attempt,
        "ended_at": task.ended_at,
    }


def running_task(task: TaskRecord) -> dict[str, Any]:
    """Return what is said of a task while it runs."""
    return {
        "task": task.id,
        "kind": task.kind,
        "module": task.path,
        "worker": task.worker,
        "attempt": task.attempt,
        "started_at": task.started_at,
        "progress": task.progress,
    }


def task_document(task: TaskRecord) -> dict[str, Any]:
    """Return a task as views of a deployment follow it; what is absent is left out."""
    error = task.error
    told = {
        "state": str(task.state),
        "attempt": task.attempt or None,
        "worker": task.worker,
        "queued_at": task.queued_at,
        "started_at": task.started_at,
        "ended_at": task.ended_at,
        "reason": task.reason,
        "progress": task.progress,
        "error": None
        if error is None
        else {
            "type": error.get("type", ""),
            "message": error.get("message", "")[:_LONGEST_MESSAGE],
        },
    }
    return {key: value for key, value in told.items() if value is not None}


def graph_document(plan: Plan | None, record: GenerationRecord) -> dict[str, Any]:
    """Return a plan with its edges; tasks name modules and other tasks by their places.

    Without a plan (its history is over, or it was signed with another secret) there are no modules.
    """
    if plan is None:
        return {"modules": [], "tasks": [], "services": [], "created_at": record.created_at}
    place = {path: number for number, path in enumerate(plan.modules)}
    numbers = {id_: number for number, id_ in enumerate(plan.ids)}
    reduced = plan.reduced()
    return {
        "modules": list(plan.modules),
        "tasks": [
            [id_.partition(":")[0], _place_of(id_, place), [numbers[b] for b in reduced[id_]]]
            for id_ in plan.ids
        ],
        "services": [
            {
                "path": service.path,
                "inner": next(
                    (each for each in service.loads if each.rpartition("/")[0] == service.path),
                    None,
                ),
                "resources": dict(service.resources),
                "parents": list(service.parents),
            }
            for service in plan.services
        ],
        "created_at": record.created_at,
    }


def _place_of(id_: str, place: Mapping[str, int]) -> int:
    kind, _, path = id_.partition(":")
    return -1 if kind == "join" else place.get(path, -1)


def service_documents(
    record: GenerationRecord, replicas: Iterable[tuple[ReplicaRecord, int]]
) -> dict[str, dict[str, Any]]:
    """Return the services of a generation by key, each with its live replicas."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for replica, lease_ms in replicas:
        if replica.state not in GONE and lease_ms > 0:
            found[replica.path].append(_replica(replica))
    return {
        f"s/{path}": {
            "service": path,
            "deployment": record.name,
            "generation": record.generation,
            "state": "asleep"
            if path in record.scaling.asleep and not found[path]
            else service_state(str(record.state), enough(record, path), found[path]),
            "wanted": wanted,
            "bounds": record.scaling.ranges.get(path),
            "why": record.scaling.why.get(path),
            "replicas": found[path],
        }
        for path, wanted in record.services.items()
    }


def enough(record: GenerationRecord, path: str) -> int:
    """Return with how many ready replicas a service misses nothing."""
    wanted = record.services[path]
    return min(record.scaling.floors.get(path, wanted), wanted)


def service_state(deployment: str, wanted: int, replicas: Sequence[Mapping[str, Any]]) -> str:
    """Return the one word for a service: ready, degraded, starting, unready or stopped."""
    ready = sum(each["state"] == ReplicaState.READY for each in replicas)
    if ready and ready >= wanted:
        return "ready"
    if ready:
        return "degraded"
    if not wanted and not replicas:
        return "stopped"
    is_coming = any(each["state"] == ReplicaState.STARTING for each in replicas)
    return "starting" if is_coming or deployment in {"pending", "progressing"} else "unready"


def _replica(replica: ReplicaRecord) -> dict[str, Any]:
    return {
        "replica": replica.replica,
        "worker": replica.worker,
        "state": str(replica.state),
        "url": replica.url,
        "since": replica.since,
        "pid": replica.pid,
        "reason": replica.reason,
    }


def worker_document(
    agent: AgentRecord,
    tasks: Iterable[tuple[str, int, TaskRecord]],
    replicas: Iterable[ReplicaRecord],
) -> dict[str, Any]:
    """Return a worker with what its slots run (deployment, generation and task) and serve."""
    info = agent.info
    return {
        "worker": info.worker,
        "id": info.id,
        "state": "ready" if info.state == "running" else "draining",
        "host": info.host,
        "pid": info.pid,
        "slots": info.slots,
        "resources": dict(info.resources),
        "used": used_amounts(info),
        "devices": device_holders(info),
        "version": info.version,
        "started_at": info.started_at,
        "tasks": [
            {"deployment": name, "generation": number, **running_task(task)}
            for name, number, task in tasks
        ],
        "replicas": [
            {"service": each.path, "generation": each.generation, "state": str(each.state)}
            for each in replicas
        ],
    }
