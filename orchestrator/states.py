"""The states of tasks, replicas and deployments, and the one table of how each may change.

The words are those that every command, record and event uses. The scripts make the changes; this
table says which of them are right, and the property tests hold each step against it. A state with
no way out is final unless a person resumes it, and `RESUMED` lists those ways apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class TaskState(StrEnum):
    """Where a task is in its life."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether only a person can move the task on."""
        return self in FINAL_TASK_STATES


class ReplicaState(StrEnum):
    """Where a running copy of a served module is in its life."""

    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"
    DRAINING = "draining"
    STOPPED = "stopped"
    LOST = "lost"


class DeploymentState(StrEnum):
    """Where one generation of a deployment is in its life."""

    PENDING = "pending"
    PROGRESSING = "progressing"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPING = "stopping"
    STOPPED = "stopped"

    @property
    def is_progressing(self) -> bool:
        """Whether tasks or first replicas are still to come."""
        return self in {DeploymentState.PENDING, DeploymentState.PROGRESSING}

    @property
    def is_final(self) -> bool:
        """Whether the generation starts nothing more by itself."""
        return self in FINAL_DEPLOYMENT_STATES


State = TaskState | ReplicaState | DeploymentState
Table = Mapping[str, frozenset[str]]

_T, _R, _D = TaskState, ReplicaState, DeploymentState

FINAL_TASK_STATES = frozenset({_T.SUCCEEDED, _T.FAILED, _T.CANCELLED, _T.SKIPPED})
FINAL_DEPLOYMENT_STATES = frozenset({_D.FAILED, _D.CANCELLED, _D.STOPPED})

# By kind of state first: `cancelled` is a word of tasks and of deployments, and as strings equal.
TRANSITIONS: Mapping[type[State], Table] = {
    TaskState: {
        # A join goes from waiting to succeeded without being queued: no worker runs it.
        _T.WAITING: frozenset({_T.QUEUED, _T.SUCCEEDED, _T.SKIPPED, _T.CANCELLED}),
        # A prepare that comes too late is skipped on the queue.
        _T.QUEUED: frozenset({_T.RUNNING, _T.CANCELLED, _T.SKIPPED}),
        _T.RUNNING: frozenset({_T.SUCCEEDED, _T.FAILED, _T.QUEUED, _T.CANCELLED}),
        _T.SUCCEEDED: frozenset(),
        _T.FAILED: frozenset(),
        _T.CANCELLED: frozenset(),
        _T.SKIPPED: frozenset(),
    },
    ReplicaState: {
        _R.STARTING: frozenset({_R.READY, _R.UNREADY, _R.DRAINING, _R.STOPPED, _R.LOST}),
        _R.READY: frozenset({_R.UNREADY, _R.DRAINING, _R.STOPPED, _R.LOST}),
        _R.UNREADY: frozenset({_R.READY, _R.DRAINING, _R.STOPPED, _R.LOST}),
        _R.DRAINING: frozenset({_R.STOPPED, _R.LOST}),
        _R.STOPPED: frozenset(),
        _R.LOST: frozenset(),
    },
    DeploymentState: {
        _D.PENDING: frozenset({_D.PROGRESSING, _D.READY, _D.FAILED, _D.CANCELLED, _D.STOPPING}),
        _D.PROGRESSING: frozenset({_D.READY, _D.FAILED, _D.CANCELLED, _D.STOPPING}),
        _D.READY: frozenset({_D.DEGRADED, _D.STOPPING}),
        _D.DEGRADED: frozenset({_D.READY, _D.STOPPING}),
        _D.FAILED: frozenset({_D.STOPPING}),
        _D.CANCELLED: frozenset({_D.STOPPING}),
        _D.STOPPING: frozenset({_D.STOPPED}),
        _D.STOPPED: frozenset(),
    },
}
"""Every change that happens by itself or by `cancel` and `stop`."""

RESUMED: Mapping[type[State], Table] = {
    TaskState: {
        _T.FAILED: frozenset({_T.QUEUED, _T.WAITING, _T.RUNNING}),
        _T.CANCELLED: frozenset({_T.QUEUED, _T.WAITING}),
        _T.SKIPPED: frozenset({_T.WAITING, _T.QUEUED}),
    },
    ReplicaState: {},
    DeploymentState: {
        _D.FAILED: frozenset({_D.PROGRESSING}),
        _D.CANCELLED: frozenset({_D.PROGRESSING}),
        _D.STOPPED: frozenset({_D.PROGRESSING}),
        _D.STOPPING: frozenset({_D.PROGRESSING}),
    },
}
"""The changes that only `resume` (or a requeue by RQ's tools) makes."""


def may_become(state: State, later: State, *, resumed: bool = False) -> bool:
    """Tell whether `state` may turn into `later`; staying the same is always right."""
    kind = type(state)
    if later is state or later in TRANSITIONS[kind][state]:
        return True
    return resumed and later in RESUMED[kind].get(state, frozenset())
