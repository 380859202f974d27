"""What to do so that what runs becomes what was asked for: one pure function.

`reconcile(desired, observed, now)` looks at one generation and returns actions; the controller
carries them out. It is level-triggered: it remembers nothing, so a lost action is only a delay, and
calling it twice asks for the same. It never starts what nobody asked for, never starts a service
before the services that it calls, never stops one before those that call it, and never has more
starts under way than replicas are missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from rootward.modules.processes.restart_policy import pause_after

if TYPE_CHECKING:
    from collections.abc import Mapping

DRAIN_GRACE_S = 10.0
STALE_AFTER_S = 30.0


class Wish(Enum):
    """What a generation is to do about its services."""

    GROW = auto()
    """It progresses: only services that were deployed once are brought to their number."""
    KEEP = auto()
    """It is ready or degraded: all services are brought to their number."""
    LEAVE = auto()
    """It failed as the first of its name: what runs stays, nothing is started."""
    END = auto()
    """It stops, or is a failed replacement: everything is stopped, parents first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceWish:
    """One service: how many replicas, and the services that call it.

    `startup_timeout` is in seconds; `gives_way` says that a newer generation can't start its
    replica beside ours, `is_exclusive` that none of our own may run beside its successor,
    `is_woken` that it starts without waiting for what it calls, which starts at the same time.
    """

    path: str
    wanted: int
    parents: tuple[str, ...] = ()
    startup_timeout: float = 60.0
    gives_way: bool = False
    is_exclusive: bool = False
    is_woken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What one generation should look like; `deadline_at` in Unix seconds by the clock of Redis.

    `is_replaced` says that a newer one serves: this one ends without cutting a call.
    """

    wish: Wish
    services: tuple[ServiceWish, ...] = ()
    deadline_at: float | None = None
    is_replaced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenReplica:
    """One replica as registered: `state` is one of the replica states, `since` when it began.

    `is_leaving` says that its agent drains: it serves until others do.
    """

    id: str
    path: str
    agent_id: str
    state: str
    since: float = 0.0
    is_leaving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The repairs that were asked for lately for one service: how many, and when the last."""

    count: int
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one generation looks like.

    `deployed` are the services whose deploy task has succeeded; `open_starts` counts the start jobs
    that haven't ended, by path.
    """

    replicas: tuple[SeenReplica, ...] = ()
    deployed: frozenset[str] = frozenset()
    open_starts: Mapping[str, int] = field(default_factory=dict)
    trials: Mapping[str, Trial] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartReplica:
    """Submit the repair that starts one more replica of the service."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReplica:
    """Tell the agent to drain the replica for at most `grace_s` seconds and to end it.

    None is for as long as its calls last, within the agent's own limit.
    """

    replica: str
    path: str
    agent_id: str
    grace_s: float | None = DRAIN_GRACE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class FailGeneration:
    """Mark the generation as failed."""

    reason: str


Action = StartReplica | StopReplica | FailGeneration

_GONE = frozenset({"stopped", "lost"})
_COUNTED = frozenset({"starting", "ready", "unready"})


def reconcile(desired: Desired, observed: Observed, now: float) -> list[Action]:
    """Return what to do about one generation at the time `now` (Unix seconds)."""
    if desired.wish is Wish.END:
        return list(_stops_from_the_top(desired, observed))
    deadline = desired.deadline_at
    if desired.wish is Wish.GROW and deadline is not None and now >= deadline:
        return [FailGeneration(reason="its deadline has passed before it was ready")]
    actions: list[Action] = []
    waiting = _callers_of_missing(desired, observed)
    for service in desired.services:
        actions += _settle(service, desired.wish, observed, now)
    return [a for a in actions if not (isinstance(a, StartReplica) and a.path in waiting)]


def backoff_s(count: int) -> float:
    """Return how long to wait after the `count`-th try to start a replica, in seconds."""
    return pause_after(count)


def _stops_from_the_top(desired: Desired, observed: Observed) -> list[StopReplica]:
    """Stop every replica whose callers are gone; the next look goes on below them."""
    present = {replica.path for replica in observed.replicas if replica.state not in _GONE}
    waiting = {
        service.path
        for service in desired.services
        if any(parent in present for parent in service.parents)
    }
    if desired.is_replaced:
        grace_s, states = None, _COUNTED
    else:
        # What drains was perhaps given longer, before its end was asked for.
        grace_s, states = DRAIN_GRACE_S, _COUNTED | {"draining"}
    return [
        _stop(replica, grace_s)
        for replica in observed.replicas
        if replica.state in states and replica.path not in waiting
    ]


def _callers_of_missing(desired: Desired, observed: Observed) -> set[str]:
    """Return the services that call one which is wanted and of which no replica is ready."""
    ready = {replica.path for replica in observed.replicas if replica.state == "ready"}
    woken = {service.path for service in desired.services if service.is_woken}
    return {
        parent
        for service in desired.services
        if service.wanted and not service.gives_way and service.path not in ready
        for parent in service.parents
        if parent not in woken
    }


def _settle(service: ServiceWish, wish: Wish, observed: Observed, now: float) -> list[Action]:
    own = [replica for replica in observed.replicas if replica.path == service.path]
    present = [replica for replica in own if replica.state in _COUNTED]
    counted = [replica for replica in present if not replica.is_leaving]
    leaving = [replica for replica in present if replica.is_leaving]
    wanted = 0 if service.gives_way else service.wanted
    is_deployed = service.path in observed.deployed
    if wish is Wish.GROW and not is_deployed:
        # Whatever runs is prepared for the deploy task, or is the deploy task's.
        return []
    if wish is Wish.LEAVE and not is_deployed:
        # Prepared for a deploy task that never came.
        return [_stop(each, DRAIN_GRACE_S) for each in counted if each.state == "starting"]
    stale = [replica for replica in counted if _is_stale(replica, service, observed, now)]
    counted = [replica for replica in counted if replica not in stale]
    surplus = len(counted) - wanted
    missing = -surplus - observed.open_starts.get(service.path, 0)
    # Each that is ready elsewhere lets one go of those that leave.
    spare = sum(replica.state == "ready" for replica in counted) + len(leaving) - wanted
    relieved = sorted(leaving, key=_worth)[: max(0, spare)]
    if service.is_exclusive:
        # What drains still ends its calls.
        draining = sum(replica.state == "draining" for replica in own)
        relieved, missing = leaving, missing - len(leaving) - draining
    stops = [*stale, *relieved, *sorted(counted, key=_worth)[: max(0, surplus)]]
    trial = observed.trials.get(service.path)
    too_soon = trial is not None and now < trial.last_at + backoff_s(trial.count)
    if wish is Wish.LEAVE or too_soon:
        missing = 0
    # What takes its place waits for its end: that can't be left to its callers.
    grace_s = DRAIN_GRACE_S if service.gives_way or service.is_exclusive else None
    return [
        *(_stop(each, grace_s) for each in stops),
        *[StartReplica(path=service.path)] * max(0, missing),
    ]


def _is_stale(replica: SeenReplica, service: ServiceWish, observed: Observed, now: float) -> bool:
    """Whether nobody will ever make this replica ready: prepared, but deployed elsewhere."""
    waits = replica.state == "starting" and not observed.open_starts.get(service.path)
    return waits and now > replica.since + service.startup_timeout + STALE_AFTER_S


def _worth(replica: SeenReplica) -> tuple[int, float, str]:
    """Order replicas by how little is lost with them: not ready ones, then the youngest."""
    return (("unready", "starting", "ready").index(replica.state), -replica.since, replica.id)


def _stop(replica: SeenReplica, grace_s: float | None) -> StopReplica:
    return StopReplica(
        replica=replica.id, path=replica.path, agent_id=replica.agent_id, grace_s=grace_s
    )
