"""The JSON documents of deployments and workers, the same wherever they are asked for.

Those of statuses, services and events are made by these records themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rootward.modules.needs.resources import amount_text

if TYPE_CHECKING:
    from ..store.records import AgentInfo, AgentRecord, DeploymentRecord

_HOLDER = ("deployment", "generation", "module", "kind", "replica")


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


def used_amounts(info: AgentInfo) -> dict[str, float]:
    """Return how much of each resource of a worker is held now."""
    used = dict.fromkeys(info.resources, 0.0)
    for row in info.holdings:
        used[row["resource"]] = round(used.get(row["resource"], 0.0) + row["amount"], 6)
    return used


def device_holders(info: AgentInfo) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return who holds each device of a worker, by resource and device.

    A holder has a share below 1 where several have the device. `kind` is that of its task, or
    `replica`; then `replica` is its id.
    """
    found: dict[str, dict[str, list[dict[str, Any]]]] = {
        name: {device: [] for device in devices} for name, devices in info.devices.items()
    }
    for row in info.holdings:
        told = {key: row[key] for key in _HOLDER}
        for device, share in row["devices"].items():
            holders = found.setdefault(row["resource"], {}).setdefault(device, [])
            holders.append({**told, "share": share})
    return found


def devices_text(info: AgentInfo) -> str:
    """Return who holds which device in one line, like `gpu 0: app@1/model (0.5), 1: free`."""
    parts = []
    for resource, devices in device_holders(info).items():
        told = (
            f"{device}: {', '.join(map(_holder_text, holders)) or 'free'}"
            for device, holders in devices.items()
        )
        parts.append(f"{resource} {'; '.join(told)}")
    return " | ".join(parts)


def _holder_text(holder: dict[str, Any]) -> str:
    share = "" if holder["share"] == 1 else f" ({amount_text(holder['share'])})"
    kind = "" if holder["kind"] == "replica" else f"{holder['kind']}:"
    return f"{kind}{holder['module']}@{holder['generation']}{share}"


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
        "used": used_amounts(info),
        "devices": device_holders(info),
        "queues": list(info.queues),
        "version": info.version,
        "started_at": info.started_at,
        "lease_ms": record.lease_ms,
    }
