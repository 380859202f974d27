"""What the store should do with one generation of tasks, in plain Python.

It knows nothing of Redis, queues or tokens: a task has a state, the tasks that it waits for, and
what is left of its attempts. The property tests compare it with the store after every step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rootward.orchestrator.states import DeploymentState as D
from rootward.orchestrator.states import TaskState as T

LOSSES = 3


@dataclass(slots=True)
class ModelTask:
    """One task of the model; `agent` has it while it runs."""

    id: str
    after: tuple[str, ...]
    state: T = T.WAITING
    retries: int = 0
    losses: int = 0
    agent: str = ""

    @property
    def is_join(self) -> bool:
        return self.id.startswith("join:")


@dataclass(slots=True)
class Model:
    """A generation: its tasks in order of the plan, its own state, its number of retries."""

    tasks: dict[str, ModelTask]
    retries: int
    state: D = D.PENDING
    resumed: bool = False
    order: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, edges: dict[str, list[str]], retries: int) -> Model:
        tasks = {
            id_: ModelTask(id=id_, after=tuple(after), retries=retries)
            for id_, after in edges.items()
        }
        model = cls(tasks=tasks, retries=retries)
        model.release()
        model.settle()
        return model

    def release(self) -> None:
        """Let go what waits for nothing any more; in plan order, so joins open in one pass."""
        for task in self.tasks.values():
            if task.state is T.WAITING and self.is_open(task):
                task.state = T.SUCCEEDED if task.is_join else T.QUEUED

    def is_open(self, task: ModelTask) -> bool:
        return all(self.tasks[before].state is T.SUCCEEDED for before in task.after)

    def settle(self) -> None:
        if self.state.is_progressing and self.left == 0:
            self.state = D.FAILED if self.failed else D.READY

    @property
    def left(self) -> int:
        return sum(not task.state.is_final for task in self.tasks.values())

    @property
    def failed(self) -> int:
        return sum(task.state is T.FAILED for task in self.tasks.values())

    def claim(self, id_: str, agent: str) -> None:
        task = self.tasks[id_]
        if task.state is T.FAILED:
            self.resume(id_)
        assert task.state is T.QUEUED, f"{id_} was claimed while {task.state}"
        assert self.is_open(task), f"{id_} started before what it waits for"
        task.state, task.agent = T.RUNNING, agent
        self.order.append(id_)
        if self.state is D.PENDING:
            self.state = D.PROGRESSING

    def succeed(self, id_: str) -> None:
        self.tasks[id_].state = T.SUCCEEDED
        self.release()
        self.settle()

    def fail(self, id_: str) -> None:
        task = self.tasks[id_]
        if task.retries > 0:
            task.retries -= 1
            task.state = T.QUEUED
            return
        self._fail_for_good(task)

    def _fail_for_good(self, task: ModelTask) -> None:
        task.state = T.FAILED
        self.skip()
        self.settle()

    def skip(self) -> None:
        for task in self.tasks.values():
            blocked = any(self.tasks[b].state in {T.FAILED, T.SKIPPED} for b in task.after)
            if task.state is T.WAITING and blocked:
                task.state = T.SKIPPED

    def hand_back(self, id_: str) -> None:
        self.tasks[id_].state = T.QUEUED

    def lose(self, agent: str) -> None:
        for task in list(self.tasks.values()):
            if task.state is not T.RUNNING or task.agent != agent:
                continue
            task.losses += 1
            if task.losses >= LOSSES:
                self._fail_for_good(task)
            else:
                task.state = T.QUEUED

    def cancel(self) -> None:
        self.state = D.CANCELLED
        for task in self.tasks.values():
            if not task.state.is_final:
                task.state = T.CANCELLED

    def resume(self, chosen: str | None = None) -> bool:
        """Bring back what has not succeeded, or only one failed task and what it alone blocks."""
        back = {T.SKIPPED} if chosen else {T.SKIPPED, T.CANCELLED, T.FAILED}
        revived = [t for t in self.tasks.values() if t.state in back or t.id == chosen]
        for task in revived:
            task.state = T.WAITING
        self.skip()
        revived = [task for task in revived if task.state is T.WAITING]
        for task in revived:
            task.retries, task.losses = self.retries, 0
        self.release()
        if self.state in {D.FAILED, D.CANCELLED, D.STOPPED}:
            self.state = D.PROGRESSING
            self.settle()
            return True
        self.settle()
        return bool(revived)
