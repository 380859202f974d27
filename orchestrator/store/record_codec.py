"""How records are written into Redis and read back.

One function a direction and record; nothing here talks to Redis. What the scripts must see of a
value stands in front of it as text. A value that can't be read is an error that says which.
"""

from __future__ import annotations

import base64
import functools
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import msgpack

from ..errors import BadRecord
from ..states import DeploymentState, ReplicaState, TaskState
from .records import (
    AgentInfo,
    Change,
    Claim,
    GenerationRecord,
    LogEntry,
    Output,
    ReplicaRecord,
    Serving,
    TaskRecord,
)

Hash = Mapping[bytes, bytes]
LONGEST_REASON = 300
SMALL = 64
"""Bytes of the longest value with which Redis keeps a hash in its compact form."""

TASK_FIELDS = tuple(
    field.encode()
    for field in (
        *("rw", "description", "rw_tail", "rw_more", "worker_name", "origin"),
        *("enqueued_at", "started_at", "ended_at", "rw_error", "rw_reason"),
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


def pack_agent(info: AgentInfo) -> bytes:
    """Pack what an agent says of itself."""
    return _pack({**asdict(info), "resources": dict(info.resources)})


def unpack_agent(data: bytes) -> AgentInfo:
    """Read what `pack_agent` wrote."""
    known = _unpack("agent", data, AgentInfo)
    known["queues"] = tuple(known.get("queues", ()))
    return AgentInfo(**known)


def pack_replica(record: ReplicaRecord) -> bytes:
    """Pack a replica: state, agent and path as text for the scripts, then the record."""
    head = f"{record.state} {record.agent_id} {record.path}\n"
    # Not `asdict`, which copies each value deeply: callers wait for this.
    known = {name: getattr(record, name) for name in _names_of(ReplicaRecord)}
    return head.encode() + _pack({**known, "state": str(record.state)})


def unpack_replica(data: bytes) -> ReplicaRecord:
    """Read what `pack_replica` wrote."""
    known = _unpack("replica", data.partition(b"\n")[2], ReplicaRecord)
    known["state"] = ReplicaState(known["state"])
    return ReplicaRecord(**known)


def pack_error(error: Mapping[str, str] | None) -> tuple[str, str, bytes]:
    """Return an error as the record keeps it, in one line, and as RQ's result shows it."""
    known = {key: str(value) for key, value in (error or {}).items()}
    line = ": ".join(part for part in (known.get("type"), known.get("message")) if part)
    reason = (line.splitlines() or ["failed"])[0][:LONGEST_REASON]
    told = known.get("traceback") or line or "failed"
    packed = base64.b64encode(zlib.compress(told.encode(errors="replace"), 1))
    return json.dumps(known), reason.encode(errors="replace").decode(), packed


def cut(text: str) -> tuple[bytes, bytes]:
    """Cut a text into a first part that is SMALL, with whole characters, and the rest."""
    whole = text.encode()
    if len(whole) <= SMALL:
        return whole, b""
    first = whole[:SMALL].decode(errors="ignore").encode()
    return first, whole[len(first) :]


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
        queued_at=_moment(found.get(b"enqueued_at")),
        started_at=_moment(found.get(b"started_at")),
        ended_at=_moment(found.get(b"ended_at")),
        error=json.loads(error) if error else None,
        reason=reason.decode(errors="replace") if reason else None,
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


def read_generation(
    name: str, generation: int, found: Hash, parts: Sequence[Any]
) -> GenerationRecord:
    """Read a generation from its hash; `parts` are services, ready, repairs, number of replicas."""
    text = {key.decode(): value.decode(errors="replace") for key, value in found.items()}
    services, ready, repairs, replicas = parts
    return GenerationRecord(
        name=name,
        generation=generation,
        state=DeploymentState(text["state"]),
        reason=text.get("reason") or None,
        created_at=_seconds(text["created"]) or 0.0,
        ended_at=_seconds(text.get("ended")),
        kinds=tuple(kind for kind in text.get("kinds", "").split(",") if kind),
        total=int(text["total"]),
        left=int(text["left"]),
        failed=int(text["failed"]),
        makes_current=text.get("makes_current") == "1",
        retire=text.get("retire") == "1",
        retries=int(text.get("retries") or 0),
        deadline_at=_seconds(text.get("deadline")),
        owner=text.get("owner") or None,
        services=_counts(services),
        ready=_counts(ready),
        replicas=int(replicas),
        repairs={job.decode(): path.decode() for job, path in repairs.items()},
        prepared={
            key.removeprefix("prepared:"): agent
            for key, agent in text.items()
            if key.startswith("prepared:")
        },
    )


def read_serving(
    numbers: Sequence[bytes | None],
    found: Sequence[bytes | None],
    services: Hash,
    replicas: Sequence[bytes],
) -> Serving:
    """Read current and latest, state and whether it makes current, services, packed replicas."""
    current, latest = (None if number is None else int(number) for number in numbers)
    state, makes_current = found
    return Serving(
        current=current,
        latest=latest,
        state=None if state is None else DeploymentState(state.decode()),
        makes_current=makes_current == b"1",
        services=_counts(services),
        replicas=tuple(map(unpack_replica, replicas)),
    )


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
    job_id, place, task, attempt, token, queue, timeout, queued, claimed = lines
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
        queued_at=_seconds(queued),
        claimed_at=_seconds(claimed),
    )


def read_log(id_: bytes, found: Hash) -> LogEntry:
    """Read a piece of output from its stream entry."""
    text = {key.decode(): value.decode(errors="replace") for key, value in found.items()}
    attempt = text.get("attempt")
    return LogEntry(
        id=id_.decode(),
        at=int(id_.partition(b"-")[0]) / 1000,
        path=text.get("path") or None,
        fd=int(text["fd"]),
        text=text["text"],
        task=text.get("task"),
        attempt=int(attempt) if attempt else None,
        replica=text.get("replica"),
    )


def read_change(id_: bytes, found: Hash) -> Change:
    """Read a change of the registry from its stream entry."""
    record = found.get(b"record")
    text = {key: found[key].decode() for key in found if key != b"record"}
    return Change(
        id=id_.decode(),
        op=text[b"op"],
        name=text[b"name"],
        generation=int(text[b"gen"]),
        path=text.get(b"path"),
        replica=text.get(b"replica"),
        record=unpack_replica(record) if record else None,
    )


def _pack(value: Mapping[str, Any]) -> bytes:
    return bytes(msgpack.packb(value))


def _unpack(what: str, data: bytes, record: type) -> dict[str, Any]:
    """Read the fields that this version knows; a newer one may have written more."""
    try:
        found = msgpack.unpackb(data)
        return {name: found[name] for name in _names_of(record) if name in found}
    except (ValueError, TypeError) as cause:
        raise BadRecord(f"a stored {what} can't be read ({cause})") from cause


@functools.cache
def _names_of(record: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record))


def _counts(found: Hash) -> dict[str, int]:
    return {path.decode(): int(count) for path, count in found.items()}


def _moment(date: bytes | None) -> float | None:
    """Read a date as RQ writes it, in UTC; Unix seconds."""
    if not date:
        return None
    return datetime.fromisoformat(date.decode()).timestamp()


def _seconds(milliseconds: str | None) -> float | None:
    return int(milliseconds) / 1000 if milliseconds else None
