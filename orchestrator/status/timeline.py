"""When each task of a generation waited and ran: its timeline, and what decided how long it took.

It is made of a Status and of the edges of the plan, and of nothing else. A task waits for the tasks
before it (its barrier), then for a slot, then it runs. `slot` numbers the tasks that overlap on one
worker, so that a drawing needs one row for each; it is not the number of a process.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .status import Status, TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One task in time; moments are Unix seconds, None for what has not happened.

    `released_at` is when the last task before it had ended. `earlier_s` went into attempts before
    the one that is shown.
    """

    task: TaskStatus
    released_at: float | None
    slot: int | None
    barrier_s: float | None
    queue_s: float | None
    run_s: float | None
    earlier_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return what a timeline adds to the JSON of the task."""
        return {
            "id": self.task.id,
            "released_at": self.released_at,
            "slot": self.slot,
            "barrier_seconds": self.barrier_s,
            "queue_seconds": self.queue_s,
            "run_seconds": self.run_s,
            "earlier_seconds": self.earlier_s,
        }


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The steps of one generation in the order of its plan; `now` is when it was looked at."""

    status: Status
    steps: Sequence[Step]
    after: Mapping[str, Sequence[str]] = field(default_factory=dict)
    now: float = 0.0

    @cached_property
    def by_id(self) -> Mapping[str, Step]:
        """The steps by the ids of their tasks."""
        return {step.task.id: step for step in self.steps}

    @property
    def began_at(self) -> float:
        """When the generation was submitted."""
        return self.status.created_at or 0.0

    @cached_property
    def makespan_s(self) -> float:
        """Seconds from the submission to the end of the last task, or to `now` while one is left.

        Warm-ups don't count: nothing waits for them.
        """
        tasks = [step.task for step in self.steps if step.task.kind != "prepare"]
        if any(task.state in {"waiting", "queued", "running"} for task in tasks):
            return max(0.0, self.now - self.began_at)
        ends = [task.ended_at for task in tasks if task.ended_at is not None]
        return max(0.0, max(ends, default=self.began_at) - self.began_at)

    @cached_property
    def critical(self) -> tuple[Step, ...]:
        """The chain of tasks that decided how long it took, first task first, joins left out.

        Each step is the one that ended last among those that the next one waited for.
        """
        ran = [s for s in self.steps if s.task.kind != "prepare" and s.task.started_at is not None]
        step = max(ran, key=lambda step: _end(step.task, self.now), default=None)
        chain: list[Step] = []
        while step is not None:
            if step.task.kind != "join":
                chain.append(step)
            before = [self.by_id[id_] for id_ in self.after.get(step.task.id, ())]
            before = [each for each in before if each.task.ended_at is not None]
            step = max(before, key=lambda step: step.task.ended_at or 0.0, default=None)
        return tuple(reversed(chain))

    @cached_property
    def work_s(self) -> float:
        """Seconds of work of all tasks together."""
        return sum(step.run_s or 0.0 for step in self.steps if step.task.kind != "prepare")

    @cached_property
    def slots_used(self) -> Mapping[str, int]:
        """By worker, how many tasks at most ran there at the same time."""
        used: dict[str, int] = defaultdict(int)
        for step in self.steps:
            if step.slot is not None and step.task.worker:
                used[step.task.worker] = max(used[step.task.worker], step.slot + 1)
        return used

    def slowest(self, count: int = 3) -> list[Step]:
        """Return the steps that ran longest, the longest first."""
        ran = [s for s in self.steps if s.run_s is not None and s.task.kind != "prepare"]
        return sorted(ran, key=lambda step: -(step.run_s or 0.0))[:count]

    def to_json(self) -> dict[str, Any]:
        """Return the document that `analyze --json` prints."""
        return {
            "deployment": self.status.deployment,
            "generation": self.status.generation,
            "state": self.status.state,
            "makespan_seconds": self.makespan_s,
            "work_seconds": self.work_s,
            "critical_path": [step.to_json() for step in self.critical],
            "slots_used": dict(self.slots_used),
            "tasks": [step.to_json() for step in self.steps if step.task.kind != "join"],
        }


def make_timeline(status: Status, after: Mapping[str, Sequence[str]], now: float) -> Timeline:
    """Return the timeline of a status; `after` gives by task id the ids that it waits for."""
    ends = {task.id: task.ended_at for task in status.tasks}
    slots = _slots(status.tasks, now)
    steps = [
        _step(task, _released(status, task, ends, after), slots.get(task.id), status, now)
        for task in status.tasks
    ]
    return Timeline(status=status, steps=steps, after=after, now=now)


def _released(
    status: Status,
    task: TaskStatus,
    ends: Mapping[str, float | None],
    after: Mapping[str, Sequence[str]],
) -> float | None:
    if task.state in {"waiting", "skipped"} or (task.queued_at is None and task.started_at is None):
        return None
    before = [ends.get(id_) for id_ in after.get(task.id, ())]
    if not before:
        return status.created_at
    known = [end for end in before if end is not None]
    return max(known) if len(known) == len(before) else task.queued_at


def _step(
    task: TaskStatus, released: float | None, slot: int | None, status: Status, now: float
) -> Step:
    created, started = status.created_at, task.started_at
    until = now if task.state in {"waiting", "queued"} and status.ended_at is None else None
    barrier = queue = run = None
    if created is not None and (released is not None or until is not None):
        barrier = max(0.0, (released if released is not None else until or created) - created)
    earlier = 0.0
    if released is not None and task.queued_at is not None and task.attempt > 1:
        earlier = max(0.0, task.queued_at - released)
    begun = started if started is not None else until
    if released is not None and begun is not None:
        queue = max(0.0, begun - released - earlier)
    if started is not None:
        run = max(0.0, _end(task, now) - started)
    return Step(
        task=task,
        released_at=released,
        slot=slot,
        barrier_s=barrier,
        queue_s=queue,
        run_s=run,
        earlier_s=earlier,
    )


def _slots(tasks: Iterable[TaskStatus], now: float) -> dict[str, int]:
    """Give each task that ran the lowest row of its worker that is free when it starts."""
    free_at: dict[str, list[float]] = defaultdict(list)
    slots: dict[str, int] = {}
    ran = [task for task in tasks if task.started_at is not None and task.worker]
    for task in sorted(ran, key=lambda task: task.started_at or 0.0):
        rows, started = free_at[task.worker or ""], task.started_at or 0.0
        row = next((n for n, at in enumerate(rows) if at <= started), len(rows))
        rows[row : row + 1] = [_end(task, now)]
        slots[task.id] = row
    return slots


def _end(task: TaskStatus, now: float) -> float:
    return now if task.ended_at is None else task.ended_at
