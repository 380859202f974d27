"""The plan of a deployment: its tasks, the edges between them, and the services that it keeps.

A plan is a directed acyclic graph in an order in which it could run. It is made from an outline
(`collect` reads that from a tree) by a pure function: no Redis, no clock, no user code. How a plan
is drawn is `plan_text`'s; how it is stored is the store's. Each task stands after all
that it waits for, ids and paths are unique, and every edge leads to what is below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import PlanError

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


PING_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One served module: what its replicas need and who calls it.

    `parents` are the paths of the services that call this one and so stop before it;
    the timeouts are in seconds; `loads` are the paths that a replica holds in its process.
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
    call_timeout: float | None = None
    ping_timeout: float = PING_TIMEOUT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a plan needs of the modules of a tree, column by column, children first.

    `paths`, `children` (places of modules) and `kinds` (of work) have an entry for each module,
    `services` one for each that is served, by its place.
    """

    paths: Sequence[str]
    children: Sequence[Sequence[int]]
    kinds: Sequence[frozenset[str]]
    services: Mapping[int, Service] = field(default_factory=dict)


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


# In place of the number of a task that a module doesn't have.
_NONE = -1

Step = tuple[str, int | str, tuple[int, ...]]
"""A task by numbers: its kind, the place of its module (the id of a join), what it waits for."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The tasks of a deployment in runnable order, and the services that it keeps alive.

    `modules` are the paths of all modules that were planned, children first. `steps` are the tasks
    by numbers, which is how a plan is made, stored and submitted; `tasks` are made of them when
    somebody asks.
    """

    deployment: str
    modules: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    services: tuple[Service, ...] = ()

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of the tasks."""
        paths = self.modules
        return tuple(
            [
                place if isinstance(place, str) else f"{kind}:{paths[place]}"
                for kind, place, _ in self.steps
            ]
        )

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, each with its id, its module's path and the ids of what it waits for."""
        ids, paths = self.ids, self.modules
        return tuple(
            Task(
                id=id_,
                kind=Kind(kind),
                path=None if isinstance(place, str) else paths[place],
                after=tuple([ids[before] for before in after]),
            )
            for id_, (kind, place, after) in zip(ids, self.steps, strict=True)
        )

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
        depth: list[int] = []
        levels: list[list[Task]] = []
        for task, (_, _, after) in zip(self.tasks, self.steps, strict=True):
            level = max((depth[before] + 1 for before in after), default=0)
            depth.append(level)
            if level == len(levels):
                levels.append([])
            levels[level].append(task)
        return levels

    def critical_path(self, durations: Mapping[str, float] | None = None) -> list[Task]:
        """Return the chain of tasks that decides how long the whole takes, first task first.

        `durations` gives seconds by task id; a task that it lacks counts 1, a join nothing.
        """
        given = durations or {}
        ends: list[float] = []
        longest: list[int | None] = []
        for task, (_, _, after) in zip(self.tasks, self.steps, strict=True):
            before = max(after, key=ends.__getitem__, default=None)
            longest.append(before)
            own = given.get(task.id, 0.0 if task.kind is Kind.JOIN else 1.0)
            ends.append((ends[before] if before is not None else 0.0) + own)
        chain: list[Task] = []
        step = max(range(len(ends)), key=ends.__getitem__, default=None)
        while step is not None:
            chain.append(self.tasks[step])
            step = longest[step]
        return chain[::-1]

    def reduced(self) -> dict[str, tuple[str, ...]]:
        """Return the edges, by task id, without those that follow from others."""
        from .reduction import reduce_edges

        ids, edges = self.ids, reduce_edges([after for _, _, after in self.steps])
        return {
            id_: tuple([ids[before] for before in after])
            for id_, after in zip(ids, edges, strict=True)
        }

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
        from rootward.modules.gc_pause import HeldBack

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


def make_plan(deployment: str, outline: Outline, kinds: Iterable[str] = ALL_KINDS) -> Plan:
    """Make the plan of the modules of an outline, with their tasks of the kinds."""
    wanted = parse_kinds(kinds)
    _check(outline)
    worked = frozenset[str]().union(*set(outline.kinds))
    asked = [str(kind) for kind in ALL_KINDS if kind in wanted and kind in worked]
    services = outline.services if Kind.DEPLOY in wanted else {}
    steps: list[Step] = []
    barrier: tuple[int, ...] = ()
    for kind in map(str, ALL_KINDS):
        numbers = _add_steps(steps, outline, kind, barrier) if kind in asked else []
        if kind == Kind.TRAIN:
            _add_prepares(steps, outline, services, numbers)
        if numbers and kind != asked[-1]:
            after = tuple([number for number in numbers if number != _NONE])
            barrier = (len(steps),)
            steps.append((str(Kind.JOIN), f"{Kind.JOIN}:{kind}", after))
    return Plan(
        deployment=deployment,
        modules=tuple(outline.paths),
        steps=tuple(steps),
        services=tuple(services[place] for place in sorted(services)),
    )


def _add_steps(
    steps: list[Step], outline: Outline, kind: str, barrier: tuple[int, ...]
) -> list[int]:
    """Add the tasks of the kind, each behind the barrier and the tasks below it.

    Returns, for each module, the number of its task, or _NONE.
    """
    numbers: list[int] = []
    for place, (kinds, children) in enumerate(zip(outline.kinds, outline.children, strict=True)):
        if kind not in kinds:
            numbers.append(_NONE)
            continue
        after = barrier
        if children:
            below = [numbers[child] for child in children]
            if _NONE in below:
                below = [numbers[child] for child in _nearest(outline, place, kind)]
            after = (*barrier, *below)
        numbers.append(len(steps))
        steps.append((kind, place, after))
    return numbers


def _nearest(outline: Outline, place: int, kind: str) -> list[int]:
    """Return the places of the nearest modules below that have work of the kind.

    Edges pass through modules without such work. The walk is done for each module that has work
    instead of handing sets upwards, which would copy long ones once a level in a deep tree.
    """
    found: list[int] = []
    seen: set[int] = set()
    stack = list(reversed(outline.children[place]))
    while stack:
        index = stack.pop()
        if index in seen:
            continue
        seen.add(index)
        if kind in outline.kinds[index]:
            found.append(index)
        else:
            stack.extend(reversed(outline.children[index]))
    return found


def _add_prepares(
    steps: list[Step],
    outline: Outline,
    services: Mapping[int, Service],
    trains: Sequence[int],
) -> None:
    if not services:
        return
    trained = {path: n for path, n in zip(outline.paths, trains, strict=False) if n != _NONE}
    for place in sorted(services):
        loads = services[place].loads
        after = tuple([trained[path] for path in loads if path in trained])
        steps.append((str(Kind.PREPARE), place, after))


def _check(outline: Outline) -> None:
    paths = outline.paths
    if len(set(paths)) < len(paths):
        doubled = next(path for number, path in enumerate(paths) if path in paths[:number])
        raise PlanError(f"two modules have the path {doubled!r}: give one of them another name")
    for place, children in enumerate(outline.children):
        if children and max(children) >= place:
            raise PlanError(f"module {paths[place]!r} stands before a module that it holds")
