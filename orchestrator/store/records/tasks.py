"""Tasks as they are stored: submitted, claimed, finished, read.

Times are Unix seconds by the clock of Redis, None for what has not happened. A record is a
snapshot: nothing here follows what is stored.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ...states import TaskState
from .encoding import Hash, moment, seconds

Output = Sequence[tuple[int, str]]
"""What was printed: pairs of file descriptor (1 or 2) and text; PROGRESS and JSON between them."""
PROGRESS = 0
"""In place of a file descriptor: the text is the task's progress, of which the last is kept."""
LONGEST_REASON = 300

TASK_FIELDS = tuple(
    field.encode()
    for field in (
        *("rw", "description", "rw_tail", "rw_more", "worker_name", "origin"),
        *("enqueued_at", "started_at", "ended_at", "rw_error", "rw_reason", "rw_progress"),
    )
)
"""The fields of a job's hash that `read_task` wants."""

_STATES = {
    b"w": TaskState.WAITING,
    b"q": TaskState.QUEUED,
    b"r": TaskState.RUNNING,
    b"R": TaskState.RUNNING,
    b"s": TaskState.SUCCEEDED,
    b"f": TaskState.FAILED,
    b"c": TaskState.CANCELLED,
    b"k": TaskState.SKIPPED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """A task as it is submitted; `id` is `KIND:PATH`, and `join:KIND` for a join.

    `wait` counts the tasks before it, `next` are the places of its dependants in the plan. `data`
    is the signed RQ payload, empty for a join. `timeout` is the longest run of one attempt in
    seconds, None without limit. One that `is_done` was done by an earlier generation.
    """

    id: str
    wait: int = 0
    next: Sequence[int] = ()
    data: bytes = b""
    queue: str = ""
    timeout: float | None = None
    is_done: bool = False


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
    `steps` of its callables have ended in an earlier attempt.
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
    steps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The answer to an exchange, results in the order of the finishes.

    `known` is False for an agent whose lease has ended: it gets no claims and must start anew;
    when the store has lost its data (`is_forgotten`) it must only join again.
    `is_suspended` says that it wanted some, and RQ's workers are suspended.
    """

    known: bool
    is_forgotten: bool = False
    results: tuple[FinishResult, ...] = ()
    claims: tuple[Claim, ...] = ()
    is_suspended: bool = False


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
    progress: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationBlob:
    """What a worker reads of a generation before its first task; tree and plan are sealed.

    `submission` tells it from another that is given its number after a loss of data; then its
    `services`, the wanted replicas by path, are told by who brings it back.
    """

    tree: bytes
    plan: bytes
    makes_current: bool
    submission: str = ""
    owner: str = ""
    services: Mapping[str, int] = field(default_factory=dict)


def pack_error(error: Mapping[str, str] | None) -> tuple[str, str, bytes]:
    """Return an error as the record keeps it, in one line, and as RQ's result shows it."""
    known = {key: str(value) for key, value in (error or {}).items()}
    line = ": ".join(part for part in (known.get("type"), known.get("message")) if part)
    reason = (line.splitlines() or ["failed"])[0][:LONGEST_REASON]
    told = known.get("traceback") or line or "failed"
    packed = base64.b64encode(zlib.compress(told.encode(errors="replace"), 1))
    return json.dumps(known), reason.encode(errors="replace").decode(), packed


def flat_output(output: Output) -> list[str | int | bytes | float]:
    """Return output as the scripts take it: file descriptor and text in turn."""
    return [value for pair in output for value in pair]


def read_task(index: int, job_id: str, found: Hash) -> TaskRecord:
    """Read a task from the TASK_FIELDS of its job hash."""
    letter, attempt, _, _, _, rest = found[b"rw"].split(b" ")
    state = _STATES[letter]
    id_ = task_id(found)
    kind, _, path = id_.partition(":")
    queue = found.get(b"rw_more", b"").partition(b"\n")[0] or found.get(b"origin", b"")
    error, reason = found.get(b"rw_error"), found.get(b"rw_reason")
    progress = found.get(b"rw_progress")
    return TaskRecord(
        index=index,
        id=id_,
        kind=kind,
        path=None if kind == "join" else path or None,
        state=state,
        job_id=job_id,
        attempt=int(attempt),
        worker=found.get(b"worker_name", b"").decode(errors="replace") or None,
        agent_id=rest.decode() if state is TaskState.RUNNING else None,
        queue=queue.decode(),
        queued_at=moment(found.get(b"enqueued_at")),
        started_at=moment(found.get(b"started_at")),
        ended_at=moment(found.get(b"ended_at")),
        error=json.loads(error) if error else None,
        reason=reason.decode(errors="replace") if reason else None,
        progress=json.loads(progress) if progress else None,
    )


def place_of(prefix: str, job_id: str, more: bytes | None) -> tuple[str, int] | None:
    """Return whose a job is: its id tells, or `rw_more` where RQ doesn't allow the name in ids."""
    told = re.fullmatch(r"(.+)-(\d+)-[^-]+", job_id.removeprefix(f"{prefix}-"))
    if told is None:
        return None
    hidden = more.split(b"\n")[1].decode() if more else ""
    return hidden or told[1], int(told[2])


def task_id(found: Hash) -> str:
    """Return the id of a task from its job hash."""
    return (found[b"description"] + found.get(b"rw_tail", b"")).decode(errors="replace")


def read_claims(told: Sequence[Any]) -> tuple[Claim, ...]:
    """Read claims as `claiming.lua` tells them; those of one generation share its log entries."""
    end = at = 1 + 2 * int(told[0])
    logs: dict[str, tuple[Sequence[bytes], int]] = {}
    while at < len(told):
        place, length, count = told[at : at + 3]
        at += 3 + count
        logs[place.decode()] = told[at - count : at], int(length)
    return tuple(_claim(told[at], told[at + 1], logs) for at in range(1, end, 2))


def _claim(told: bytes, data: bytes, logs: Mapping[str, tuple[Sequence[bytes], int]]) -> Claim:
    lines = told.decode().split("\n")
    job_id, place, task, attempt, token, queue, timeout, queued, claimed, steps = lines
    states, offset = logs[place]
    name, _, generation = place.rpartition("@")
    kind, _, path = task.partition(":")
    return Claim(
        job_id=job_id,
        name=name,
        generation=int(generation),
        task=task,
        kind=kind,
        path=path or None,
        attempt=int(attempt),
        token=token,
        data=data,
        queue=queue,
        timeout=float(timeout) if timeout else None,
        states=states,
        offset=offset,
        queued_at=seconds(queued),
        claimed_at=seconds(claimed),
        steps=int(steps or 0),
    )
