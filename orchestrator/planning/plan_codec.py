"""Plans as bytes: a compact msgpack, unsigned.

Tasks name modules and other tasks by number, and a module's path is its parent's number and its own
part, so that the plan of a deep tree doesn't grow with the square of its depth. Reading checks the
version and the shape; whether the bytes are to be trusted is the caller's to check first.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgpack

from rootward.modules.rpc.bounds import ReplicaBounds

from ..errors import PlanError
from .graph import Kind, Service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .graph import PlanGraph, Step

VERSION = 1
_NO_PARENT = -1


def pack_plan(plan: PlanGraph) -> bytes:
    """Return the bytes of a plan."""
    paths = plan.modules
    place = {path: number for number, path in enumerate(paths)}
    packed = msgpack.packb(
        {
            "v": VERSION,
            "deployment": plan.deployment,
            "listed": len(paths),
            "paths": [_split(path, place) for path in paths],
            "tasks": plan.steps,
            "services": [_fields(service) for service in plan.services],
            "needs": {id_: dict(amounts) for id_, amounts in plan.needs.items()},
        }
    )
    return bytes(packed)


def unpack_plan(data: bytes) -> dict[str, Any]:
    """Return the fields of the plan that `pack_plan` packed; PlanError for anything else."""
    try:
        fields = msgpack.unpackb(data, use_list=False)
        if fields["v"] != VERSION:
            raise PlanError(
                f"the stored plan has version {fields['v']}, and this rootward reads {VERSION}: "
                "submit the tree again with this version"
            )
        paths, steps = _joined(fields["paths"]), fields["tasks"]
        _check(steps, len(paths))
        return {
            "deployment": fields["deployment"],
            "modules": tuple(paths),
            "steps": steps,
            "services": tuple(_service(service) for service in fields["services"]),
            "needs": fields.get("needs", {}),
        }
    except (ValueError, KeyError, TypeError, IndexError) as cause:
        raise PlanError(f"the stored plan can't be read ({cause}): submit again") from cause


def _fields(service: Service) -> dict[str, Any]:
    fields = asdict(service)
    if service.bounds is None:
        # A worker of before there were any reads it too.
        del fields["bounds"]
    return fields


def _service(fields: dict[str, Any]) -> Service:
    bounds = fields.pop("bounds", None)
    return Service(**fields, bounds=None if bounds is None else ReplicaBounds(**bounds))


def _check(steps: Sequence[Step], modules: int) -> None:
    kinds = frozenset(Kind)
    for number, (kind, place, after) in enumerate(steps):
        if kind not in kinds or (place.__class__ is int and not 0 <= place < modules):
            raise ValueError(f"task {number} is of {kind!r} and of module {place!r}")
        if after and not 0 <= min(after) <= max(after) < number:
            raise ValueError(f"task {number} doesn't stand behind what it waits for")


def _split(path: str, place: dict[str, int]) -> tuple[int, str]:
    above, _, part = path.rpartition("/")
    parent = place.get(above, _NO_PARENT)
    return (parent, part) if parent != _NO_PARENT else (_NO_PARENT, path)


def _joined(parts: Sequence[tuple[int, str]]) -> list[str]:
    paths = [""] * len(parts)
    # Children stand first: from the end on, each finds its parent's path already there.
    for index in range(len(parts) - 1, -1, -1):
        parent, part = parts[index]
        if parent == _NO_PARENT:
            paths[index] = part
        elif parent > index:
            paths[index] = f"{paths[parent]}/{part}"
        else:
            raise ValueError("a module stands behind its parent")
    return paths
