"""Replicas as they are registered, and what followers of the registry read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import BadRecord
from ...states import DeploymentState, ReplicaState
from .encoding import Hash, counts, names_of, pack, unpack
from .scaling import Scaling, read_scaling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet


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
class Serving:
    """What a caller reads of one generation: what it serves, and which others there are.

    `current` and `latest` are the numbers of the deployment's generations, None where there is
    none. `state` is None when this generation isn't stored; `services` are the wanted replicas by
    path, `scaling` says which of them sleep. `canary` is the generation beside the current one, if
    any, and `percent` its share of the calls.
    """

    current: int | None
    latest: int | None
    state: DeploymentState | None
    makes_current: bool
    is_restored: bool
    services: Mapping[str, int]
    replicas: Sequence[ReplicaRecord]
    canary: int | None = None
    percent: float = 0.0
    scaling: Scaling = field(default_factory=Scaling)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the registry: of a replica, or of what a generation is to serve.

    `op` is `put`, `drop`, `current`, `canary`, `judge`, `scale` or `stop`; `record` is there for
    `put`.
    """

    id: str
    op: str
    name: str
    generation: int
    path: str | None = None
    replica: str | None = None
    record: ReplicaRecord | None = None


def pack_replica(record: ReplicaRecord) -> bytes:
    """Pack a replica: state, agent and path as text for the scripts, then the record."""
    head = f"{record.state} {record.agent_id} {record.path}\n"
    # Not `asdict`, which copies each value deeply: callers wait for this.
    known = {name: getattr(record, name) for name in names_of(ReplicaRecord)}
    return head.encode() + pack({**known, "state": str(record.state)})


def unpack_replica(data: bytes) -> ReplicaRecord:
    """Read what `pack_replica` wrote."""
    known = unpack("replica", data.partition(b"\n")[2], ReplicaRecord)
    known["state"] = ReplicaState(known["state"])
    return ReplicaRecord(**known)


def read_replicas(found: Hash, agents: AbstractSet[bytes]) -> dict[bytes, ReplicaRecord]:
    """Read the replicas of a generation, by their ids, as far as one of `agents` holds them.

    What can't be read, or stands under the id of another, was written by somebody else: it must
    not keep anybody from reading the rest.
    """
    records = {}
    for id_, value in found.items():
        try:
            record = unpack_replica(value)
            if record.replica.encode() == id_ and record.agent_id.encode() in agents:
                records[id_] = record
        except (BadRecord, ValueError, TypeError, KeyError, AttributeError):
            continue
    return records


def read_serving(
    numbers: Sequence[bytes | None],
    found: Sequence[bytes | None],
    services: Hash,
    replicas: Hash,
    agents: Sequence[bytes],
    scaling: Hash,
) -> Serving:
    """Read what `RegistryStore.serving` asks for, in its order."""
    current, latest, canary = (None if each is None else int(each) for each in numbers[:3])
    state, makes_current, restored = found
    return Serving(
        current=current,
        latest=latest,
        state=None if state is None else DeploymentState(state.decode()),
        makes_current=makes_current == b"1",
        is_restored=restored == b"1",
        services=counts(services),
        replicas=tuple(read_replicas(replicas, set(agents)).values()),
        canary=canary,
        percent=float(numbers[3] or 0),
        scaling=read_scaling(scaling),
    )


def read_change(id_: bytes, found: Hash) -> Change:
    """Read a change of the registry from its stream entry.

    One that can't be read, as somebody else wrote it, is a change of nothing.
    """
    try:
        return _change(id_, found)
    except (BadRecord, ValueError, TypeError, KeyError, AttributeError):
        return Change(id=id_.decode(), op="", name="", generation=0)


def _change(id_: bytes, found: Hash) -> Change:
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
