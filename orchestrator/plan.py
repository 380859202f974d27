"""The plan of a deployment: its tasks, the edges between them, and the services that it keeps.

A plan is a directed acyclic graph in an order in which it could run. It is made from planned
modules (`collect` reads those from a tree) by a pure function: no Redis, no clock, no user code.
How a plan is drawn is `plan_text`'s; how it is stored is the store's. Each task stands after all
that it waits for, ids and paths are unique, and every edge leads to what is below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from .errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Kind(StrEnum):
    """What a task does for its module; `join` is the meeting point between two kinds."""

    TRAIN = "train"
    PREPARE = "prepare"
    DEPLOY = "deploy"
    EVAL = "eval"
    JOIN = "join"


ALL_KINDS: tuple[Kind, ...] = (Kind.TRAIN, Kind.DEPLOY, Kind.EVAL)
"""The kinds that a caller can ask for; `prepare` and `join` follow from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One served module: what its replicas need and who calls it.

    `parents` are the paths of the services that call this one and so stop before it;
    `startup_timeout` is in seconds; `loads` are the paths that a replica holds in its process.
    """

    path: str
    wanted: int = 1
    parents: tuple[str, ...] = ()
    loads: tuple[str, ...] = ()
    port: int | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    startup_timeout: float = 60.0
    repeatable: bool = True
    exclusive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedModule:
    """One module of a tree as the plan sees it: `children` index the sequence that holds it."""

    path: str
    children: tuple[int, ...] = ()
    kinds: frozenset[str] = frozenset()
    service: Service | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task: `path` is its module's (None for a join), `after` the ids that it waits for."""

    id: str
    kind: Kind
    path: str | None
    after: tuple[str, ...] = ()

    @property
    def module(self) -> str | None:
        """The path of its module, called as in the JSON of a plan."""
        return self.path

    def to_json(self) -> dict[str, Any]:
        """Return the task as `plan --json` prints it."""
        return {
            "id": self.id,
            "kind": str(self.kind),
            "module": self.path,
            "after": list(self.after),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The tasks of a deployment in runnable order, and the services that it keeps alive.

    `modules` are the paths of all modules that were planned, children first.
    """

    deployment: str
    modules: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    services: tuple[Service, ...] = ()

    def __str__(self) -> str:
        from .plan_text import draw

        return draw(self)

    def task(self, task_id: str) -> Task:
        """Return the task of that id; KeyError when there is none."""
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise KeyError(task_id)

    def service(self, path: str) -> Service | None:
        """Return the service at that path, or None for a module that isn't served."""
        return next((service for service in self.services if service.path == path), None)

    def levels(self) -> list[list[Task]]:
        """Return the tasks level by level: each as early as what it waits for allows."""
        depth: dict[str, int] = {}
        levels: list[list[Task]] = []
        for task in self.tasks:
            level = max((depth[before] + 1 for before in task.after), default=0)
            depth[task.id] = level
            if level == len(levels):
                levels.append([])
            levels[level].append(task)
        return levels

    def critical_path(self, durations: Mapping[str, float] | None = None) -> list[Task]:
        """Return the chain of tasks that decides how long the whole takes, first task first.

        `durations` gives seconds by task id; a task that it lacks counts 1, a join nothing.
        """
        given = durations or {}
        ends: dict[str, float] = {}
        longest: dict[str, str | None] = {}
        for task in self.tasks:
            before = max(task.after, key=lambda id_: ends[id_], default=None)
            longest[task.id] = before
            own = given.get(task.id, 0.0 if task.kind is Kind.JOIN else 1.0)
            ends[task.id] = (ends[before] if before is not None else 0.0) + own
        by_id = {task.id: task for task in self.tasks}
        chain: list[Task] = []
        step = max(ends, key=lambda id_: ends[id_], default=None)
        while step is not None:
            chain.append(by_id[step])
            step = longest[step]
        return chain[::-1]

    def reduced(self) -> dict[str, tuple[str, ...]]:
        """Return the edges, by task id, without those that follow from others."""
        from .reduction import reduce_edges

        return reduce_edges(self.tasks)

    def to_json(self) -> dict[str, Any]:
        """Return the document that `plan --json` prints."""
        return {"deployment": self.deployment, "tasks": [task.to_json() for task in self.tasks]}

    def to_mermaid(self) -> str:
        """Return the plan as a mermaid flowchart."""
        from .plan_text import mermaid

        return mermaid(self)

    def to_bytes(self) -> bytes:
        """Return the plan as the msgpack that is stored with the generation."""
        from .plan_codec import pack_plan

        return pack_plan(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Plan:
        """Read what `to_bytes` wrote; PlanError when it isn't a plan that this version reads."""
        from modules.garbage import HeldBack

        from .plan_codec import unpack_plan

        with HeldBack():
            return unpack_plan(data)


def parse_kinds(kinds: Iterable[str]) -> frozenset[Kind]:
    """Return the kinds asked for; PlanError names one that nobody can ask for, or that none was."""
    asked = [kinds] if isinstance(kinds, str) else list(kinds)
    allowed = {str(kind): kind for kind in ALL_KINDS}
    unknown = [kind for kind in asked if str(kind) not in allowed]
    if unknown or not asked:
        what = f"{str(unknown[0])!r} is no kind of task" if unknown else "no kind of task was given"
        raise PlanError(f"{what}: choose from {', '.join(allowed)}")
    return frozenset(allowed[str(kind)] for kind in asked)


def make_plan(
    deployment: str,
    modules: Sequence[PlannedModule],
    kinds: Iterable[str] = ALL_KINDS,
) -> Plan:
    """Make the plan of the modules, which stand children first, with their tasks of the kinds."""
    wanted = parse_kinds(kinds)
    _check_paths(modules)
    asked = [kind for kind in ALL_KINDS if kind in wanted]
    working = {kind: any(str(kind) in module.kinds for module in modules) for kind in asked}
    planned: list[Task] = []
    barrier: Task | None = None
    for kind in ALL_KINDS:
        tasks = _tasks_of_kind(modules, kind, barrier) if working.get(kind) else []
        planned += tasks
        if kind is Kind.TRAIN:
            planned += _prepares(modules, tasks, Kind.DEPLOY in wanted)
        if tasks and any(working[other] for other in asked if _stands_after(other, kind)):
            ids = tuple(task.id for task in tasks)
            barrier = Task(id=f"{Kind.JOIN}:{kind}", kind=Kind.JOIN, path=None, after=ids)
            planned.append(barrier)
    services = tuple(m.service for m in modules if m.service is not None and Kind.DEPLOY in wanted)
    return Plan(
        deployment=deployment,
        modules=tuple(module.path for module in modules),
        tasks=tuple(planned),
        services=services,
    )


def _stands_after(later: Kind, earlier: Kind) -> bool:
    return ALL_KINDS.index(later) > ALL_KINDS.index(earlier)


def _tasks_of_kind(
    modules: Sequence[PlannedModule], kind: Kind, barrier: Task | None
) -> list[Task]:
    """Return the tasks of the kind, each behind the barrier and the tasks below it."""
    name = str(kind)
    first = () if barrier is None else (barrier.id,)
    tasks = []
    ids: list[str] = []  # '' for a module without such work
    for module in modules:
        if name not in module.kinds:
            ids.append("")
            continue
        below = [ids[child] for child in module.children]
        if "" in below:
            below = [ids[index] for index in _nearest(modules, module, name)]
        ids.append(f"{name}:{module.path}")
        tasks.append(Task(id=ids[-1], kind=kind, path=module.path, after=(*first, *below)))
    return tasks


def _nearest(modules: Sequence[PlannedModule], module: PlannedModule, kind: str) -> list[int]:
    """Return the places of the nearest modules below that have work of the kind.

    Edges pass through modules without such work. The walk is done for each module that has work
    instead of handing sets upwards, which would copy long ones once a level in a deep tree.
    """
    found: list[int] = []
    seen: set[int] = set()
    stack = list(reversed(module.children))
    while stack:
        index = stack.pop()
        if index in seen:
            continue
        seen.add(index)
        if kind in modules[index].kinds:
            found.append(index)
        else:
            stack.extend(reversed(modules[index].children))
    return found


def _prepares(
    modules: Sequence[PlannedModule], trains: Sequence[Task], deploys: bool
) -> list[Task]:
    trained = {task.path: task.id for task in trains}
    return [
        Task(
            id=f"{Kind.PREPARE}:{module.path}",
            kind=Kind.PREPARE,
            path=module.path,
            after=tuple(trained[path] for path in module.service.loads if path in trained),
        )
        for module in modules
        if deploys and module.service is not None
    ]


def _check_paths(modules: Sequence[PlannedModule]) -> None:
    paths: set[str] = set()
    for index, module in enumerate(modules):
        if module.path in paths:
            raise PlanError(
                f"two modules have the path {module.path!r}: give one of them another name"
            )
        paths.add(module.path)
        if module.children and max(module.children) >= index:
            raise PlanError(f"module {module.path!r} stands before a module that it holds")
