"""The records that travel between Redis and the rest: what is submitted, claimed, finished, read.

They are frozen and say what they hold; `record_codec` turns them into bytes and back, and the store
moves them. Times are Unix seconds by the clock of Redis, None for what has not happened. A record
is a snapshot: nothing here follows what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..states import DeploymentState, ReplicaState, TaskState

Output = Sequence[tuple[int, str]]
"""What was printed: pairs of file descriptor (1 or 2) and text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """A task as it is submitted; `id` is `KIND:PATH`, and `join:KIND` for a join.

    `wait` counts the tasks before it, `next` are the places of its dependants in the plan. `data`
    is the signed RQ payload, empty for a join. `timeout` is the longest run of one attempt in
    seconds, None without limit.
    """

    id: str
    wait: int = 0
    next: Sequence[int] = ()
    data: bytes = b""
    queue: str = ""
    timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Everything that one generation needs, `id` being the caller's own name for the submission.

    `tasks` stand as in the plan. `services` are the wanted replicas by path. `deadline_s` counts
    from the moment it is stored; `history_s` is how long the generation is kept after it has ended.
    `owner` is the program that it ends with, if any.
    """

    id: str
    name: str
    generation: int
    kinds: tuple[str, ...]
    tasks: tuple[TaskSpec, ...]
    plan: bytes
    tree: bytes
    services: Mapping[str, int] = field(default_factory=dict)
    makes_current: bool = False
    retries: int = 0
    deadline_s: float | None = None
    owner: str | None = None
    history_s: float = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentInfo:
    """What an agent says of itself; `id` is unique per start, `worker` the name that people see."""

    id: str
    worker: str
    host: str = ""
    pid: int = 0
    slots: int = 1
    queues: tuple[str, ...] = ()
    resources: Mapping[str, float] = field(default_factory=dict)
    version: str = ""
    state: str = "running"
    started_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecord:
    """An agent as it is registered: `held` counts its jobs and replicas."""

    info: AgentInfo
    lease_ms: int
    held: int = 0

    @property
    def id(self) -> str:
        """The id of this start of the worker."""
        return self.info.id

    @property
    def name(self) -> str:
        """The worker's name."""
        return self.info.worker

    @property
    def worker(self) -> str:
        """The worker's name, called as in the JSON of workers."""
        return self.info.worker

    @property
    def state(self) -> str:
        """What it says of itself: running, or that it takes nothing new."""
        return self.info.state

    @property
    def slots(self) -> int:
        """How many tasks it runs at once."""
        return self.info.slots

    @property
    def resources(self) -> Mapping[str, float]:
        """What it offers beside slots."""
        return self.info.resources


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewResult:
    """Whether the agent still has its lease, which store it has it in, how many tasks it runs.

    `is_idle` says that nothing is active and the lease a longer one; `store_id` is empty then.
    """

    known: bool
    store_id: str
    running: int = 0
    is_idle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The outcome of one attempt: `state` is succeeded or failed, `states` are signed log entries.

    `error` holds type, message and traceback. A failure that isn't `retryable` uses up all retries.
    """

    job_id: str
    token: str
    state: TaskState
    error: Mapping[str, str] | None = None
    states: Sequence[bytes] = ()
    output: Output = ()
    retryable: bool = True


class FinishResult(StrEnum):
    """What became of a finish: taken, known already, or refused as it isn't the task's attempt."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A task that is now this agent's to run, under `token`.

    `states` are the generation's signed log entries from the offset that was asked for up to
    `offset`; claims of one exchange share them. It was queued and claimed at the times given.
    """

    job_id: str
    name: str
    generation: int
    task: str
    kind: str
    path: str | None
    attempt: int
    token: str
    data: bytes
    queue: str
    timeout: float | None = None
    states: Sequence[bytes] = ()
    offset: int = 0
    queued_at: float | None = None
    claimed_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The answer to an exchange, results in the order of the finishes.

    `known` is False for an agent whose lease has ended: it gets no claims and must start anew.
    `is_suspended` says that it wanted some, and RQ's workers are suspended.
    """

    known: bool
    results: tuple[FinishResult, ...] = ()
    claims: tuple[Claim, ...] = ()
    is_suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bell:
    """What a wait ended with: new cursors, whether tasks were released, commands for the agent."""

    cursors: Mapping[str, str]
    rung: bool
    commands: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a sweep found: agents gone, their jobs queued again or failed, generations stopped.

    `released` are jobs that another program had taken from a queue and failed. The next sweep may
    find something in `due_ms`, when the first of all leases ends; None when there is no lease.
    `is_idle` says that no generation progressed, served or stopped.
    """

    lost_agents: tuple[str, ...] = ()
    requeued: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    due_ms: int | None = None
    is_idle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRecord:
    """One replica as its agent registers it; `signature` binds URL and token to the place."""

    replica: str
    name: str
    generation: int
    path: str
    agent_id: str
    worker: str
    state: ReplicaState
    url: str = ""
    token: str = ""
    signature: bytes = b""
    since: float = 0.0
    pid: int = 0
    reason: str = ""

    @property
    def rank(self) -> tuple[str, float, str]:
        """What replicas are listed by: their service, and the oldest first."""
        return self.path, self.since, self.replica


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """One task as it stands; `error` holds type, message and traceback of its last failure."""

    index: int
    id: str
    kind: str
    path: str | None
    state: TaskState
    job_id: str
    attempt: int = 0
    worker: str | None = None
    agent_id: str | None = None
    queue: str = ""
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    error: Mapping[str, str] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a worker reads of a generation before its first task; tree and plan are sealed."""

    tree: bytes
    plan: bytes
    makes_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What a caller reads of one generation: what it serves, and which others there are.

    `current` and `latest` are the numbers of the deployment's generations, None where there is
    none. `state` is None when this generation isn't stored; `services` are the wanted replicas by
    path.
    """

    current: int | None
    latest: int | None
    state: DeploymentState | None
    makes_current: bool
    services: Mapping[str, int]
    replicas: Sequence[ReplicaRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRecord:
    """One generation as it stands.

    `left` counts the tasks that aren't final, `failed` those that failed (prepares in neither).
    `services` are wanted and `ready` the ready replicas by path, `replicas` counts all of them.
    `retire` says that what it serves is to be stopped. `prepared` names the agent that prepares a
    path, `repairs` the path of each open job outside the plan.
    """

    name: str
    generation: int
    state: DeploymentState
    reason: str | None
    created_at: float
    ended_at: float | None
    kinds: tuple[str, ...]
    total: int
    left: int
    failed: int
    makes_current: bool
    retire: bool
    retries: int
    deadline_at: float | None
    owner: str | None
    services: Mapping[str, int]
    ready: Mapping[str, int]
    replicas: int
    repairs: Mapping[str, str]
    prepared: Mapping[str, str]

    @property
    def is_over(self) -> bool:
        """Whether it has ended and nothing of it runs any more: only its history is left."""
        ended = self.state.is_final or (self.state is DeploymentState.READY and not self.services)
        return ended and not self.replicas

    @property
    def is_settled(self) -> bool:
        """Whether it is ready, and exactly the replicas are there that are wanted, all ready."""
        wanted = self.services
        return (
            self.state is DeploymentState.READY
            and self.replicas == sum(wanted.values())
            and all(self.ready.get(path, 0) == count for path, count in wanted.items())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """A deployment's name: its newest generation and the one that the outside sees."""

    name: str
    created_at: float
    latest: int
    current: int | None
    newest: GenerationRecord | None = None

    @property
    def generation(self) -> int:
        """The number of the newest generation."""
        return self.latest

    @property
    def id(self) -> str:
        """`NAME@GENERATION` of the newest generation."""
        return f"{self.name}@{self.latest}"

    @property
    def state(self) -> DeploymentState | None:
        """The state of the newest generation; None when its history is over."""
        return None if self.newest is None else self.newest.state

    @property
    def reason(self) -> str | None:
        """Why the newest generation is as it is."""
        return None if self.newest is None else self.newest.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A piece of output of a task (`task`, `attempt`) or of a replica; `fd` is 1 or 2."""

    id: str
    at: float
    path: str | None
    fd: int
    text: str
    task: str | None = None
    attempt: int | None = None
    replica: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the registry: of a replica, or of what a generation is to serve.

    `op` is `put`, `drop`, `current` or `stop`; `record` is there for `put`.
    """

    id: str
    op: str
    name: str
    generation: int
    path: str | None = None
    replica: str | None = None
    record: ReplicaRecord | None = None
