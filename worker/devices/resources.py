"""The resources of one worker, who holds what of them, and which queues that lets it take from.

Tasks that need resources wait on queues whose names say how much of what they need. A worker takes
from those that what it has free can serve. A holding begins with a task's claim, goes over to the
slot or replica that the task starts, and ends when the process of that is gone, and not before.
Which devices one is given is `allocation`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rootward.modules.needs.resources import UNIT
from rootward.orchestrator.store.rq_compat import plain_queue, resource_label

from .allocation import DevicePool, Grant, allocate
from .process_end import when_gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds resources: a task of a generation, or a replica (its id) of the module."""

    deployment: str
    generation: int
    module: str
    kind: str
    replica: str | None = None


class Holding:
    """What one task, slot or replica holds until its process has ended."""

    def __init__(self, resources: Resources, grant: Grant, holder: Holder) -> None:
        """`Resources.hold` makes it."""
        self.grant, self.holder = grant, holder
        self._resources: Resources | None = resources

    @property
    def environment(self) -> dict[str, str]:
        """The variables that name its devices to its process."""
        return self.grant.environment

    def belongs_to(self, holder: Holder) -> None:
        """Let it be another's from now on."""
        self.holder = holder
        if self._resources is not None:
            self._resources.on_change()

    def end(self, pid: int | None = None) -> None:
        """Give it back once that process has ended (None: there is none); twice is harmless."""
        resources, self._resources = self._resources, None
        if resources is not None:
            when_gone(pid, partial(resources.free, self))


class Resources:
    """The resources of one worker by name; `on_change` is called when a holder comes or goes."""

    def __init__(self, prefix: str, pools: Mapping[str, DevicePool]) -> None:
        """Begin with everything free."""
        self._pools = dict(sorted(pools.items()))
        self.on_change: Callable[[], None] = lambda: None
        # Called when something is free again: a task may wait for it.
        self.on_free: Callable[[], None] = lambda: None
        self._holdings: dict[Holding, None] = {}
        needs = "".join(
            rf"(?:-{re.escape(resource_label(name))}(?P<n{i}>\d+(?:\.\d+)?))?"
            for i, name in enumerate(self._pools)
        )
        self._pattern = re.compile(re.escape(plain_queue(prefix)) + needs)

    def needs(self, queue: str) -> dict[str, float] | None:
        """Return what the tasks of a queue need; None when it isn't for this worker."""
        found = self._pattern.fullmatch(queue) if self._pools else None
        if found is None or not any(found.groups()):
            return None
        amounts = (found[f"n{i}"] for i in range(len(self._pools)))
        return {
            name: float(amount)
            for name, amount in zip(self._pools, amounts, strict=True)
            if amount is not None
        }

    def servable(self, queues: Iterable[str]) -> list[str]:
        """Return those of the queues that what is free now can serve, the greediest first."""
        needed = {queue: self.needs(queue) for queue in queues}
        fitting = [queue for queue, needs in needed.items() if needs and self.covers(needs)]
        return sorted(fitting, key=lambda queue: (-sum((needed[queue] or {}).values()), queue))

    def covers(self, needs: Mapping[str, float], without: Iterable[Holding] = ()) -> bool:
        """Whether the needs could be served if those holdings had ended."""
        ended = set(without)
        left = [each.grant for each in self._holdings if each not in ended]
        return allocate(self._pools, left, needs) is not None

    def hold(self, needs: Mapping[str, float], holder: Holder) -> Holding | None:
        """Return what serves the needs, held until its `end`; None when it isn't all free."""
        grant = self._grant(needs)
        if grant is None or not grant.amounts:
            return None
        holding = Holding(self, grant, holder)
        self._holdings[holding] = None
        self.on_change()
        return holding

    def free(self, holding: Holding) -> None:
        """Take back what a holding has held."""
        if self._holdings.pop(holding, self) is None:
            self.on_change()
            self.on_free()

    def described(self) -> tuple[Mapping[str, Any], ...]:
        """Return who holds what, as it is stored with the worker: one row a resource and holder."""
        return tuple(
            {
                "resource": name,
                "amount": amount / UNIT,
                "devices": {d: s / UNIT for d, s in each.grant.shares.get(name, {}).items()},
                "deployment": each.holder.deployment,
                "generation": each.holder.generation,
                "module": each.holder.module,
                "kind": each.holder.kind,
                "replica": each.holder.replica,
            }
            for each in self._holdings
            for name, amount in each.grant.amounts.items()
        )

    def _grant(self, needs: Mapping[str, float]) -> Grant | None:
        return allocate(self._pools, (each.grant for each in self._holdings), needs)
