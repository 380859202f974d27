"""The tasks of a plan and the edges between them, as a graph: kinds, tasks, services, paths.

A plan is a directed acyclic graph in an order in which it could run: each task stands after all
that it waits for, ids and paths are unique, and every edge leads to what is below. How a plan is
made is `planner`'s, how it is drawn and stored `plan`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootward.modules.rpc.bounds import ReplicaBounds


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
    the timeouts are in seconds; `loads` are the paths that a replica holds in its process. `wanted`
    is what it begins with, `bounds` the range in which that number follows its calls, if it does.
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
    # A server of somebody else's, run as a command: it knows nothing of calls, tokens and keys.
    is_foreign: bool = False
    bounds: ReplicaBounds | None = None

    @property
    def is_scarce(self) -> bool:
        """Whether it takes what there may be only once: no successor may stand beside it."""
        return self.port is not None or bool(self.resources) or self.exclusive


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


Step = tuple[str, int | str, tuple[int, ...]]
"""A task by numbers: its kind, the place of its module (the id of a join), what it waits for."""


@dataclass(frozen=True, kw_only=True)
class PlanGraph:
    """The tasks of a deployment in runnable order, and the services that it keeps alive.

    `modules` are the paths of all modules that were planned, children first. `steps` are the tasks
    by numbers, which is how a plan is made, stored and submitted; `tasks` are made of them when
    somebody asks.
    """

    deployment: str
    modules: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    services: tuple[Service, ...] = ()
    # What train and eval tasks need, by their ids; what replicas need, their services say.
    needs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

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

    def task(self, task_id: str) -> Task:
        """Return the task of that id; KeyError when there is none."""
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise KeyError(task_id)

    def service(self, path: str) -> Service | None:
        """Return the service at that path, or None for a module that isn't served."""
        return next((service for service in self.services if service.path == path), None)

    def needs_of_tasks(self) -> dict[str, dict[str, float]]:
        """Return the resources that tasks need, by the ids of those that need some."""
        needs = {id_: dict(amounts) for id_, amounts in self.needs.items()}
        for service in self.services:
            if service.resources:
                for kind in (Kind.PREPARE, Kind.DEPLOY):
                    needs[f"{kind}:{service.path}"] = dict(service.resources)
        return needs

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
