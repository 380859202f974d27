"""The events of a deployment: their names, what each one means, and the record of one.

`TABLE` is the whole list, in the order of a deployment's life; logging uses the same names. Events
are written by the Redis scripts in the same step as what they tell, so that history never differs
from state. Reading the stream is the store's; this file owns names and shape.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class EventName(StrEnum):
    """Every event that there is."""

    SUBMITTED = "submitted"
    RESTORED = "restored"
    PROGRESSING = "progressing"
    TASK_STARTED = "task.started"
    TASK_SUCCEEDED = "task.succeeded"
    TASK_FAILED = "task.failed"
    TASK_RETRIED = "task.retried"
    TASK_LOST = "task.lost"
    TASK_RETURNED = "task.returned"
    TASK_SKIPPED = "task.skipped"
    TASK_CANCELLED = "task.cancelled"
    REPLICA_STARTING = "replica.starting"
    REPLICA_READY = "replica.ready"
    REPLICA_UNREADY = "replica.unready"
    REPLICA_LOST = "replica.lost"
    REPLICA_STOPPED = "replica.stopped"
    REQUIREMENTS_MET = "requirements.met"
    REQUIREMENTS_MISSED = "requirements.missed"
    CANARY_STARTED = "canary.started"
    CANARY_PROMOTED = "canary.promoted"
    CANARY_ROLLED_BACK = "canary.rolled_back"
    GENERATION_WARM = "generation.warm"
    GENERATION_CURRENT = "generation.current"
    SCALED = "scaled"
    DEPLOYMENT_READY = "deployment.ready"
    DEPLOYMENT_DEGRADED = "deployment.degraded"
    DEPLOYMENT_FAILED = "deployment.failed"
    DEPLOYMENT_CANCELLED = "deployment.cancelled"
    DEPLOYMENT_STOPPING = "deployment.stopping"
    DEPLOYMENT_STOPPED = "deployment.stopped"


TABLE: Mapping[EventName, str] = {
    EventName.SUBMITTED: "the generation is stored; its first tasks are about to be queued",
    EventName.RESTORED: "workers brought back what they serve, as Redis had lost its data: reason",
    EventName.PROGRESSING: "the first task has started, or a resumed generation goes on",
    EventName.TASK_STARTED: "a worker runs the task: worker, attempt",
    EventName.TASK_SUCCEEDED: "the task's outcome is stored: worker, attempt; its result (eval)",
    EventName.TASK_FAILED: "the task has failed for good: worker, attempt, reason",
    EventName.TASK_RETRIED: "the task raised and is queued again: worker, attempt, reason",
    EventName.TASK_LOST: "its worker or process died; it is queued again: worker, attempt, reason",
    EventName.TASK_RETURNED: "its worker is leaving; it is queued again, uncounted: worker, reason",
    EventName.TASK_SKIPPED: "what the task waits for failed; it never runs: reason",
    EventName.TASK_CANCELLED: "the task was cancelled: reason",
    EventName.REPLICA_STARTING: "a replica is being started: path, worker",
    EventName.REPLICA_READY: "a replica answers and is published: path, worker",
    EventName.REPLICA_UNREADY: "a replica fails its probes and gets no calls: path, reason",
    EventName.REPLICA_LOST: "a replica ended by itself or with its worker: path, reason",
    EventName.REPLICA_STOPPED: "a replica ended because it was to: path",
    EventName.REQUIREMENTS_MET: "its evaluations are as required, so it may take over: reason",
    EventName.REQUIREMENTS_MISSED: "its evaluations aren't as required, so it fails: reason",
    EventName.CANARY_STARTED: "it gets a share of the calls beside the current one: reason",
    EventName.CANARY_PROMOTED: "the canary is current, and what was current stops: reason",
    EventName.CANARY_ROLLED_BACK: "the canary has lost its share, and stops: reason",
    EventName.GENERATION_WARM: "it is current no more, and keeps its replicas: reason",
    EventName.GENERATION_CURRENT: "it was warm, and is the current one again: reason",
    EventName.SCALED: "another number of replicas is wanted: path, before, wanted, reason",
    EventName.DEPLOYMENT_READY: "all tasks have succeeded and all wanted replicas are ready",
    EventName.DEPLOYMENT_DEGRADED: "replicas are missing from a deployment that was ready",
    EventName.DEPLOYMENT_FAILED: "the generation ended as failed: reason",
    EventName.DEPLOYMENT_CANCELLED: "the generation was cancelled: reason",
    EventName.DEPLOYMENT_STOPPING: "the generation's replicas are being stopped: reason",
    EventName.DEPLOYMENT_STOPPED: "no replica of the generation is left",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of a deployment's history.

    `id` is its place in the stream, `at` Unix seconds by the clock of Redis; what an event doesn't
    concern is None.
    """

    id: str
    event: str
    deployment: str
    generation: int
    at: float
    task: str | None = None
    path: str | None = None
    kind: str | None = None
    state: str | None = None
    worker: str | None = None
    attempt: int | None = None
    reason: str | None = None
    replica: str | None = None
    before: int | None = None
    wanted: int | None = None

    @classmethod
    def from_fields(
        cls, id_: str, deployment: str, fields: Mapping[Any, Any], task: str | None = None
    ) -> Event:
        """Read a stream entry, whose own time is the event's; `task` where it only has a number.

        Empty fields count as absent, unknown ones are left out.
        """
        text = {_text(key): _text(value) for key, value in fields.items()}
        present = {key: value for key, value in text.items() if value}
        if task := present.get("task", task):
            kind, _, path = task.partition(":")
            present |= {"task": task, "kind": kind, "path": path}
        if state := _STATES.get(present.get("event", "")):
            present["state"] = state
        numbers = {name: int(present[name]) for name in _NUMBERS if name in present}
        return cls(
            id=id_,
            event=present.get("event", ""),
            deployment=deployment,
            generation=int(present.get("gen", "0")),
            at=int(id_.partition("-")[0]) / 1000,
            attempt=numbers.get("attempt"),
            before=numbers.get("before"),
            wanted=numbers.get("wanted"),
            **{name: present.get(name) for name in _TEXTS},
        )

    @property
    def module(self) -> str | None:
        """The path of the module that it concerns."""
        return self.path

    def to_json(self) -> dict[str, Any]:
        """Return the event as `events --json` prints it, without what it doesn't concern."""
        return {key: value for key, value in asdict(self).items() if value is not None}


# In which state an event of a task finds it.
_STATES: Mapping[str, str] = {
    EventName.TASK_STARTED: "running",
    EventName.TASK_SUCCEEDED: "succeeded",
    EventName.TASK_FAILED: "failed",
    EventName.TASK_RETRIED: "running",
    EventName.TASK_LOST: "running",
    EventName.TASK_RETURNED: "running",
    EventName.TASK_SKIPPED: "skipped",
    EventName.TASK_CANCELLED: "cancelled",
}
_NUMBERS = ("attempt", "before", "wanted")
_TEXTS = ("task", "path", "kind", "state", "worker", "reason", "replica")


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
