"""The seam to RQ: the serializer of its payloads, job ids, queue names and the protocol's version.

A released task is a real RQ job, so that `rq info`, `Job.fetch` and requeue work on it; give RQ's
tools `-S rootward.orchestrator.store.rq_compat.Serializer`. Which task is released when, and who
may run it, is the scripts' to decide. Names made here are stable: the same task has the same job id
in every process.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rootward.modules.needs.resources import amount_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROTOCOL: Final = 2
"""Version of payloads and scripts; queues carry it, so that workers of another never meet them."""

LARGEST_PAYLOAD: Final = 1024 * 1024
"""Bytes of the largest payload that is decoded (msgpack can unfold to about 74 times its size)."""

_ZLIB: Final = b"x"
"""How zlib begins. RQ stores a payload so when it saves a job anew, as its requeue does."""


class Serializer:
    """RQ's serializer protocol in msgpack: nothing in a payload can name code to run."""

    @staticmethod
    def dumps(value: Any) -> bytes:
        """Pack what RQ stores; TypeError for what msgpack can't hold."""
        import msgpack

        return bytes(msgpack.packb(value))

    @staticmethod
    def loads(data: bytes) -> Any:
        """Unpack what `dumps` made; ValueError for anything else or above LARGEST_PAYLOAD."""
        import msgpack

        if data[:1] == _ZLIB and len(data) > 1:
            data = _inflated(data)
        if len(data) > LARGEST_PAYLOAD:
            raise ValueError(f"payload of {len(data)} bytes is above {LARGEST_PAYLOAD}")
        # Tuples, as RQ hands `args` on to the function.
        return msgpack.unpackb(data, use_list=False, strict_map_key=False)


def _inflated(data: bytes) -> bytes:
    """Return what zlib holds, at most a byte more than is allowed; ValueError for no zlib."""
    import zlib

    try:
        return zlib.decompressobj().decompress(data, LARGEST_PAYLOAD + 1)
    except zlib.error as error:
        raise ValueError(f"a payload can't be inflated: {error}") from error


def job_prefix(prefix: str, name: str, generation: int) -> str:
    """Return what the ids of all jobs of a generation begin with."""
    return f"{prefix}-{ascii_name(name)}-{generation}-"


def job_id(prefix: str, name: str, generation: int, index: int) -> str:
    """Return the RQ job id of the task at `index` of a generation's plan."""
    return f"{job_prefix(prefix, name, generation)}{index}"


def repair_job_id(prefix: str, name: str, generation: int) -> str:
    """Return a new id for a job outside the plan, which brings back a replica."""
    return f"{job_prefix(prefix, name, generation)}r{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True)
class Shard:
    """Items `start` to `stop` (not with it) of an evaluation, the job of whose task is named."""

    evaluation: str
    start: int
    stop: int
    attempt: int

    @property
    def job_id(self) -> str:
        """The id of its job, outside the plan."""
        prefix, _, index = self.evaluation.rpartition("-")
        return f"{prefix}-s{index}x{self.start}x{self.stop}x{self.attempt}"

    @property
    def field(self) -> str:
        """Where its outcome stands in the hash of the generation's shards."""
        return self.job_id.rpartition("-s")[2]


def shard_of(job_id: str) -> Shard | None:
    """Return which shard a job is; None for any other job."""
    prefix, _, last = job_id.rpartition("-")
    # Of most tasks, that is all there is to see.
    if not last.startswith("s"):
        return None
    told = re.fullmatch(r"s(\d+)x(\d+)x(\d+)x(\d+)", last)
    if told is None:
        return None
    start, stop, attempt = map(int, told.groups()[1:])
    return Shard(f"{prefix}-{told[1]}", start, stop, attempt)


def ascii_name(name: str) -> str:
    """Return the name in the characters that RQ allows in ids; changed names get a digest."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name
    readable = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def plain_queue(prefix: str) -> str:
    """Return the queue of tasks that any worker of this protocol can run."""
    return f"{prefix}-v{PROTOCOL}"


def protocol_of(queues: Iterable[str]) -> int | None:
    """Return the protocol that the queues of a worker carry; None when none of them tells."""
    told = (re.search(r"-v(\d+)(?:-|$)", queue) for queue in queues)
    return next((int(found[1]) for found in told if found), None)


def resource_queue(prefix: str, resources: Mapping[str, float]) -> str:
    """Return the queue of tasks that need these resources; the plain one when they need none."""
    labels = [
        f"{resource_label(name)}{amount_text(amount)}"
        for name, amount in sorted(resources.items())
        if amount
    ]
    return "-".join([plain_queue(prefix), *labels])


def resource_label(name: str) -> str:
    """Return what stands before the amount of a resource in the name of a queue."""
    # The amount that follows must not read as a part of the name.
    return f"{name}=" if name[-1:].isdigit() else name


def agent_queue(prefix: str, agent_id: str) -> str:
    """Return the queue that only this agent takes from."""
    return f"{plain_queue(prefix)}-at-{agent_id}"
