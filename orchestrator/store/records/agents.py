"""Agents as they are stored: what an agent says of itself, its lease, what a sweep found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .encoding import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentInfo:
    """What an agent says of itself; `id` is unique per start, `worker` the name that people see.

    It `keeps_workspaces` when those of its tasks lie on its own machine.
    `devices` names those of a resource that is counted in devices; `holdings` has a row for each
    resource that a task or replica holds: amount, shares by device, and whose it is.
    """

    id: str
    worker: str
    host: str = ""
    pid: int = 0
    slots: int = 1
    queues: tuple[str, ...] = ()
    resources: Mapping[str, float] = field(default_factory=dict)
    devices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    holdings: tuple[Mapping[str, Any], ...] = ()
    version: str = ""
    state: str = "running"
    started_at: float = 0.0
    keeps_workspaces: bool = False


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
    """Whether the agent still has its lease, or the store has lost data (`is_forgotten`).

    `running` counts its tasks; `is_idle` says that nothing is active and the lease a longer one. To
    join tells the `store_id`; to join again the `replicas` that it is said to hold.
    """

    known: bool
    is_forgotten: bool = False
    store_id: str = ""
    replicas: tuple[str, ...] = ()
    running: int = 0
    is_idle: bool = False


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


def pack_agent(info: AgentInfo) -> bytes:
    """Pack what an agent says of itself."""
    return pack(asdict(info))


def unpack_agent(data: bytes) -> AgentInfo:
    """Read what `pack_agent` wrote."""
    known = unpack("agent", data, AgentInfo)
    known["queues"] = tuple(known.get("queues", ()))
    known["holdings"] = tuple(known.get("holdings", ()))
    known["devices"] = {name: tuple(names) for name, names in known.get("devices", {}).items()}
    return AgentInfo(**known)
