"""Why a deployment, or one module of it, is in its state and what it waits for, in a few lines.

Pure functions of a Timeline. A task that waits is traced to what runs, is queued or has failed at
the bottom of its waiting; joins in between belong to nobody and aren't named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .status import ServiceStatus, Status, TaskStatus
    from .timeline import Timeline

SHOWN = 5
_OPEN = ("failed", "running", "queued", "waiting")


def why_deployment(timeline: Timeline) -> list[str]:
    """Return why the deployment is in its state, the most telling first."""
    status = timeline.status
    tasks = _work(status.tasks)
    done = sum(task.state == "succeeded" for task in tasks)
    reason = f": {status.reason}" if status.reason else ""
    lines = [f"{status.id} is {status.state}{reason} ({done} of {len(tasks)} tasks have succeeded)"]
    lines += _listed("failed", [_failure(task) for task in tasks if task.state == "failed"])
    running = [_running(task, timeline.now) for task in tasks if task.state == "running"]
    lines += _listed("running", running)
    queued = [task.id for task in tasks if task.state == "queued"]
    if queued:
        why = "no worker has a free slot for them" if running else "no worker has taken them yet"
        lines += _listed(f"queued ({why})", queued)
    roots = [task for task in tasks if task.state == "waiting" and task.kind != "prepare"]
    if roots:
        # The last of the plan waits for all that the others wait for.
        lines.append(f"waiting: {_waits(timeline, roots[-1])}")
        if len(roots) > 1:
            lines.append(f"  and {len(roots) - 1} more tasks before it")
    for state in ("skipped", "cancelled"):
        others = [task for task in tasks if task.state == state]
        if others:
            because = f": {others[0].reason}" if others[0].reason else ""
            lines.append(f"{state}: {_some([task.id for task in others])}{because}")
    for service in status.services:
        lines += _missing(service, status)
    return lines


def why_module(timeline: Timeline, path: str) -> list[str]:
    """Return why each task of the module at `path` is in its state, and how its replicas are."""
    status = timeline.status
    lines = [_task_line(timeline, task) for task in status.tasks if task.module == path]
    for service in status.services:
        if service.service == path:
            lines += _replicas(service, status)
    return [f"{path} in {status.id} ({status.state})", *(f"  {line}" for line in lines)]


def blockers(timeline: Timeline, task_id: str) -> list[TaskStatus]:
    """Return what a waiting task waits for in the end: what runs, is queued or has failed below."""
    found: dict[str, TaskStatus] = {}
    seen: set[str] = set()
    stack = [task_id]
    while stack:
        for before in timeline.after.get(stack.pop(), ()):
            if before in seen or before not in timeline.by_id:
                continue
            seen.add(before)
            task = timeline.by_id[before].task
            if task.state in {"waiting", "skipped"} or task.kind == "join":
                stack.append(before)
            elif task.state != "succeeded":
                found[before] = task
    return sorted(found.values(), key=lambda task: _OPEN.index(_open(task)))


def _task_line(timeline: Timeline, task: TaskStatus) -> str:
    again = f" (attempt {task.attempt})" if task.attempt > 1 else ""
    head = f"{task.kind} {task.state}{again}"
    if task.state == "waiting":
        return f"{head}: it waits for {_blocking(timeline, task)}"
    if task.state == "running":
        return f"{head} on {task.worker} for {_span(timeline.now - (task.started_at or 0))}"
    if task.state == "queued":
        since = task.queued_at or timeline.now
        return f"{head} for {_span(timeline.now - since)}: it waits for a free slot"
    if task.state == "failed":
        return f"{head}: {_failure(task).partition(': ')[2]}"
    return f"{head}: {task.reason}" if task.reason else head


def _waits(timeline: Timeline, task: TaskStatus) -> str:
    return f"{task.id} waits for {_blocking(timeline, task)}"


def _blocking(timeline: Timeline, task: TaskStatus) -> str:
    found = blockers(timeline, task.id)
    if not found:
        return "what is about to be queued"
    return _some([f"{each.id} ({each.state})" for each in found])


def _failure(task: TaskStatus) -> str:
    error = task.error or {}
    message = (error.get("message") or task.reason or "").splitlines() or [""]
    where = f" on {task.worker}" if task.worker else ""
    kind = error.get("type") or "failed"
    return f"{task.id}{where}: {kind}: {message[0]}"


def _running(task: TaskStatus, now: float) -> str:
    return f"{task.id} on {task.worker} for {_span(now - (task.started_at or now))}"


def _missing(service: ServiceStatus, status: Status) -> list[str]:
    ready = sum(endpoint.state == "ready" for endpoint in service.endpoints)
    if ready >= service.wanted or status.state not in {"ready", "degraded"}:
        return []
    return _replicas(service, status)


def _replicas(service: ServiceStatus, status: Status) -> list[str]:
    if status.state in {"stopped", "cancelled"} and not service.endpoints:
        return []
    ready = sum(endpoint.state == "ready" for endpoint in service.endpoints)
    lines = [f"{service.service}: {ready} of {service.wanted} replicas are ready"]
    if service.is_asleep and not service.endpoints:
        lines = [f"{service.service}: asleep, until it is called"]
    if service.why:
        lines.append(f"  {service.wanted} are wanted: {service.why}")
    for endpoint in service.endpoints:
        if endpoint.state != "ready" or endpoint.reason:
            why = f": {endpoint.reason}" if endpoint.reason else ""
            lines.append(f"  a replica on {endpoint.worker} is {endpoint.state}{why}")
    return lines


def _work(tasks: Iterable[TaskStatus]) -> list[TaskStatus]:
    return [task for task in tasks if task.kind not in {"join", "prepare"}]


def _listed(head: str, items: Sequence[str]) -> list[str]:
    if not items:
        return []
    more = [f"  and {len(items) - SHOWN} more"] if len(items) > SHOWN else []
    return [f"{head}:", *(f"  {item}" for item in items[:SHOWN]), *more]


def _some(names: Sequence[str]) -> str:
    text = ", ".join(names[:SHOWN])
    return text if len(names) <= SHOWN else f"{text} and {len(names) - SHOWN} more"


def _span(seconds: float) -> str:
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _open(task: TaskStatus) -> str:
    return task.state if task.state in _OPEN else "waiting"
