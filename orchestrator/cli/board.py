"""The picture of a deployment while it moves: one row a module, in the shape of the tree.

A board is filled from a Status and kept up to date by events; time is an argument. It knows neither
terminal nor Redis: the views draw its rows, whoever follows the deployment feeds it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .tree_rows import Row, branched

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..status.status import Status
    from ..store.records.events import Event

KIND_ORDER = ("train", "prepare", "deploy", "eval")
# What a row shows of several tasks: the first of these that one of them is in.
_WEIGHT = ("failed", "running", "queued", "cancelled", "skipped", "waiting", "succeeded")
_AFTER_EVENT = {
    "task.started": "running",
    "task.succeeded": "succeeded",
    "task.failed": "failed",
    "task.retried": "queued",
    "task.lost": "queued",
    "task.returned": "queued",
    "task.skipped": "skipped",
    "task.cancelled": "cancelled",
}
_DEPLOYMENT_STATES = {
    "progressing": "progressing",
    "deployment.ready": "ready",
    "deployment.degraded": "degraded",
    "deployment.failed": "failed",
    "deployment.cancelled": "cancelled",
    "deployment.stopping": "stopping",
    "deployment.stopped": "stopped",
}


@dataclass(slots=True, kw_only=True)
class TaskCell:
    """One task of a module: its state, and Unix seconds of its last start and of its end."""

    kind: str
    state: str = "waiting"
    worker: str | None = None
    attempt: int = 0
    started_at: float | None = None
    ended_at: float | None = None


@dataclass(slots=True, kw_only=True)
class ModuleCell:
    """One module: its tasks by kind and, when it is served, its replicas that are ready."""

    path: str
    tasks: dict[str, TaskCell] = field(default_factory=dict)
    wanted: int | None = None
    is_asleep: bool = False
    ready: dict[str, tuple[str, str]] = field(default_factory=dict)


class Board:
    """The modules of one generation and what is known of each."""

    def __init__(self, status: Status) -> None:
        self.state = ""
        self.created_at = self.ended_at = 0.0
        self.modules: dict[str, ModuleCell] = {}
        self.load(status)

    def load(self, status: Status) -> None:
        """Take over a whole picture."""
        self.state = status.state
        self.created_at, self.ended_at = status.created_at or 0.0, status.ended_at or 0.0
        modules: dict[str, ModuleCell] = {}
        for task in status.tasks:
            if task.module is None:
                continue
            cell = modules.setdefault(task.module, ModuleCell(path=task.module))
            cell.tasks[task.kind] = TaskCell(
                kind=task.kind,
                state=task.state,
                worker=task.worker,
                attempt=task.attempt,
                started_at=task.started_at,
                ended_at=task.ended_at,
            )
        for service in status.services:
            cell = modules.setdefault(service.service, ModuleCell(path=service.service))
            cell.wanted, cell.is_asleep = service.wanted, service.is_asleep
            cell.ready = {
                each.replica: (each.worker, each.url)
                for each in service.endpoints
                if each.state == "ready"
            }
        self.modules = modules

    def see(self, event: Event) -> None:
        """Take over what one event tells."""
        self.state = _DEPLOYMENT_STATES.get(event.event, self.state)
        if event.event in _AFTER_EVENT and event.task is not None:
            self._see_task(event)
        elif event.path in self.modules and event.event == "scaled":
            module = self.modules[event.path]
            module.wanted = event.wanted
            module.is_asleep = module.is_asleep and not event.wanted
        elif event.path in self.modules and event.event.startswith("replica."):
            ready = self.modules[event.path].ready
            key = event.replica or event.path
            if event.event == "replica.ready":
                ready.setdefault(key, (event.worker or "", ""))
            elif event.event != "replica.starting":
                ready.pop(key, None)

    def _see_task(self, event: Event) -> None:
        kind, _, path = (event.task or "").partition(":")
        module = self.modules.get(path)
        task = module.tasks.get(kind) if module is not None else None
        if task is None:
            return
        task.state = _AFTER_EVENT[event.event]
        task.worker = event.worker or task.worker
        task.attempt = event.attempt or task.attempt
        if task.state == "running":
            task.started_at, task.ended_at = event.at, None
        elif task.state != "queued":
            task.ended_at = event.at

    @property
    def counts(self) -> tuple[int, int]:
        """How many of the tasks that are waited for have succeeded, and how many there are."""
        states = self.states
        return states["succeeded"], states.total()

    @property
    def states(self) -> Counter[str]:
        """How many of the tasks that are waited for are in each state."""
        return Counter(
            task.state
            for module in self.modules.values()
            for task in module.tasks.values()
            if task.kind != "prepare"
        )

    def rows(self, now: float) -> list[Row]:
        """Return a row for each module, the root first; `now` in Unix seconds."""
        children, roots = _shape(self.modules)
        rows: list[Row] = []
        stack = list(reversed(roots))
        while stack:
            path = stack.pop()
            rows.append(self._row(path, now))
            stack += reversed(children.get(path, []))
        return branched(rows)

    def _row(self, path: str, now: float) -> Row:
        module, name = self.modules.get(path), path.rpartition("/")[2]
        if module is None:
            return Row(name=name, path=path)
        state, detail = _state_of(module)
        if state == "unready" and self.state == "stopped":
            state = "stopped"
        workers = [worker for worker, _ in module.ready.values() if worker]
        last = max(
            (task for task in module.tasks.values() if task.worker),
            key=lambda task: task.started_at or 0.0,
            default=None,
        )
        return Row(
            name=name,
            path=path,
            state=state,
            detail=detail,
            seconds=_seconds(module.tasks.values(), now),
            worker=", ".join(dict.fromkeys(workers)) or (last.worker or "" if last else ""),
            urls=tuple(url for _, url in module.ready.values() if url),
        )


def _shape(paths: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the children of each path, and the paths that stand at the top.

    A module without any task has no cell of its own; its line is there for those below it.
    """
    children: dict[str, list[str]] = defaultdict(list)
    roots: list[str] = []
    known: set[str] = set()
    for path in paths:
        each = path
        while each and each not in known:
            known.add(each)
            above = each.rpartition("/")[0]
            (children[above] if above else roots).append(each)
            each = above
    return children, roots


def _state_of(module: ModuleCell) -> tuple[str, str]:
    """Return one word for the module, and what it is doing or missing."""
    tasks = [module.tasks[kind] for kind in KIND_ORDER if kind in module.tasks]
    # A lost warm-up fails nothing and is not waited for: it shows only while it runs.
    telling = [task for task in tasks if task.kind != "prepare" or task.state == "running"]
    for state in _WEIGHT[:-1]:
        if state in {"waiting", "skipped"} and module.ready:
            continue
        found = [task for task in telling if task.state == state]
        if found:
            again = f" (attempt {found[0].attempt})" if found[0].attempt > 1 else ""
            return state, found[0].kind + again
    if module.wanted is None:
        return ("succeeded", "") if telling else ("", "")
    if module.is_asleep and not module.ready:
        return "asleep", ""
    detail = f"{len(module.ready)}/{module.wanted}" if module.wanted != 1 else ""
    return ("ready" if module.ready else "unready"), detail


def _seconds(tasks: Iterable[TaskCell], now: float) -> float | None:
    spans = [
        max(0.0, (task.ended_at or now) - task.started_at)
        for task in tasks
        if task.started_at is not None and task.kind != "prepare"
    ]
    return sum(spans) if spans else None
