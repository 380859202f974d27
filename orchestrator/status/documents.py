"""The JSON documents of deployments and workers, the same wherever they are asked for.

Those of statuses, services and events are made by these records themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..store.records import AgentRecord, DeploymentRecord


def deployment_json(record: DeploymentRecord) -> dict[str, Any]:
    """Return a deployment as `deployments --json` prints it; times are Unix seconds."""
    latest = record.newest
    return {
        "deployment": record.name,
        "generation": record.latest,
        "current": record.current,
        "canary": record.canary,
        "canary_percent": record.canary_percent if record.canary is not None else None,
        "state": None if latest is None else str(latest.state),
        "reason": None if latest is None else latest.reason,
        "created_at": record.created_at if latest is None else latest.created_at,
        "ended_at": None if latest is None else latest.ended_at,
    }


def worker_json(record: AgentRecord) -> dict[str, Any]:
    """Return a worker as `workers --json` prints it."""
    info = record.info
    return {
        "worker": info.worker,
        "id": info.id,
        "state": info.state,
        "host": info.host,
        "pid": info.pid,
        "slots": info.slots,
        "held": record.held,
        "resources": dict(info.resources),
        "queues": list(info.queues),
        "version": info.version,
        "started_at": info.started_at,
        "lease_ms": record.lease_ms,
    }
