"""Plans as bytes: a compact msgpack, unsigned.

Tasks name modules and other tasks by number, and a module's path is its parent's number and its own
part, so that the plan of a deep tree doesn't grow with the square of its depth. Reading checks the
version and the shape; whether the bytes are to be trusted is the caller's to check first.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgpack

from .errors import PlanError
from .plan import Kind, Plan, Service, Task

VERSION = 1
_NO_PARENT = -1


def pack_plan(plan: Plan) -> bytes:
    """Return the bytes of a plan."""
    paths = list(dict.fromkeys([*plan.modules, *(t.path for t in plan.tasks if t.path)]))
    place = {path: number for number, path in enumerate(paths)}
    number = {task.id: index for index, task in enumerate(plan.tasks)}
    packed = msgpack.packb(
        {
            "v": VERSION,
            "deployment": plan.deployment,
            "listed": len(plan.modules),
            "paths": [_split(path, place) for path in paths],
            "tasks": [
                [
                    str(task.kind),
                    task.id if task.path is None else place[task.path],
                    [number[before] for before in task.after],
                ]
                for task in plan.tasks
            ],
            "services": [asdict(service) for service in plan.services],
        }
    )
    return bytes(packed)


def unpack_plan(data: bytes) -> Plan:
    """Return the plan that `pack_plan` packed; PlanError for anything else."""
    try:
        fields = msgpack.unpackb(data)
        if fields["v"] != VERSION:
            raise PlanError(
                f"the stored plan has version {fields['v']}, and this rootward reads {VERSION}: "
                "submit the tree again with this version"
            )
        paths = _joined(fields["paths"])
        ids = [
            place if isinstance(place, str) else f"{kind}:{paths[place]}"
            for kind, place, _ in fields["tasks"]
        ]
        return Plan(
            deployment=fields["deployment"],
            modules=tuple(paths[: fields["listed"]]),
            tasks=tuple(
                Task(
                    id=id_,
                    kind=Kind(kind),
                    path=None if isinstance(place, str) else paths[place],
                    after=tuple(ids[before] for before in after),
                )
                for id_, (kind, place, after) in zip(ids, fields["tasks"], strict=True)
            ),
            services=tuple(_service(each) for each in fields["services"]),
        )
    except (ValueError, KeyError, TypeError, IndexError) as cause:
        raise PlanError(f"the stored plan can't be read ({cause}): submit again") from cause


def _split(path: str, place: dict[str, int]) -> tuple[int, str]:
    above, _, part = path.rpartition("/")
    parent = place.get(above, _NO_PARENT)
    return (parent, part) if parent != _NO_PARENT else (_NO_PARENT, path)


def _joined(parts: list[list[Any]]) -> list[str]:
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


def _service(fields: dict[str, Any]) -> Service:
    fields["parents"] = tuple(fields["parents"])
    fields["loads"] = tuple(fields["loads"])
    return Service(**fields)
