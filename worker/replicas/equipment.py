"""What a replica is started with: the resources that it needs, and its part of the agreement.

It owns the step from the task that asks for a replica to what the process is given; when one is
started is the supervisor's.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from rootward.modules.processes.forkserver import ReplicaSpec

from ..devices.resources import Holder
from ..work.assignment import NotBegun

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rootward.orchestrator.security.signing import Signer

    from ..devices.resources import Resources
    from ..work.assignment import Assignment
    from .replica_handle import ReplicaHandle


def equip(replica: ReplicaHandle, task: Assignment, resources: Resources) -> None:
    """Let a replica have what its task was claimed with, or what is free, as it needs it.

    Raises NotBegun when that isn't free: the task goes back to its queue.
    """
    holder = Holder(
        deployment=task.claim.name,
        generation=task.claim.generation,
        module=replica.service.path,
        kind="replica",
        replica=replica.id,
    )
    holding = task.pass_holding()
    if holding is not None:
        holding.belongs_to(holder)
    elif replica.service.resources:
        # Its task came by the queue of this worker alone, for a replica that has ended since.
        holding = resources.hold(replica.service.resources, holder)
        if holding is None:
            raise NotBegun
    replica.holding = holding


def in_the_way(
    replicas: Iterable[ReplicaHandle],
    blocked: Iterable[Mapping[str, float]],
    resources: Resources,
) -> list[ReplicaHandle]:
    """Return the prepared replicas without which one of the needs could be served, newest first.

    Nothing is returned when it could not be served without them either.
    """
    prepared = [
        each
        for each in reversed([*replicas])
        if each.holding is not None and not (each.is_published or each.is_stopping or each.is_over)
    ]
    for needs in blocked:
        ending: list[ReplicaHandle] = []
        for each in prepared:
            ending.append(each)
            if resources.covers(needs, [e.holding for e in ending if e.holding is not None]):
                return ending
    return []


def spec_of(replica: ReplicaHandle, signer: Signer, host: str) -> ReplicaSpec:
    """Return what the next process of a replica is to serve, and how."""
    service, generation = replica.service, replica.generation
    return ReplicaSpec(
        path=service.path,
        replica=replica.id,
        host=host,
        token=secrets.token_hex(16),
        call_key=signer.call_key(generation.name),
        call_token=signer.call_token(*generation.place),
        startup_timeout=service.startup_timeout,
        call_timeout=service.call_timeout,
        env=replica.environment,
        states=tuple(generation.log),
        table=generation.table,
    )
