"""The controller's part of autoscaling: what to decide from, and having what is decided stored.

In each round it asks the pure `policy` for every service with a range, wakes what a woken service
will call, and says what is missing where replicas don't come. What it keeps in memory can be lost:
then fewer replicas are wanted a little later. It starts and stops nothing; the numbers that it
signs are what the controller keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rootward.modules.needs.resources import resources_text

from ..states import DeploymentState
from ..store.records import ScaleChange
from .by_hand import bounds_in
from .policy import Load, Past, ScaleDecision, decide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rootward.modules.rpc.bounds import ReplicaBounds

    from ..planning.graph import Service
    from ..planning.plan import Plan
    from ..security.signing import Signer
    from ..store.records import AgentRecord, GenerationRecord, LoadPlace
    from ..store.store import Store

MISSING_AFTER_S: Final = 5.0
"""Seconds after which replicas that haven't come are said to be missing."""
WAKES_S: Final = 10.0
"""Seconds for which a woken service may be without a ready replica before that is a fault."""
UNCHANGED: Final = "its calls have asked for no other number yet"
MISSING: Final = "; not to be had: "
_ADJUSTED = frozenset({DeploymentState.READY, DeploymentState.DEGRADED})


@dataclass(slots=True)
class _Memory:
    """What is remembered of one service between rounds."""

    past: Past
    woken_at: float
    short_since: float | None = None


class Autoscaler:
    """Decides for all services of one store; `now` is Unix seconds of the caller's clock."""

    def __init__(self, store: Store, signer: Signer) -> None:
        self._store, self._signer = store, signer
        self._memories: dict[LoadPlace, _Memory] = {}
        self._loads: Mapping[LoadPlace, tuple[float, float]] | None = None
        self._agents: Sequence[AgentRecord] = ()
        self.is_busy = False

    def begin_round(self, agents: Sequence[AgentRecord]) -> None:
        """Read loads anew when the first service asks for them; `agents` are those that live."""
        self._loads, self._agents = None, agents
        self.is_busy = False

    def forget(self) -> None:
        """Begin anew: another controller has led meanwhile."""
        self._memories.clear()

    def adjust(self, record: GenerationRecord, plan: Plan, now: float) -> GenerationRecord:
        """Return the generation with the numbers of replicas that its calls ask for."""
        if record.state not in _ADJUSTED:
            return record
        services = {service.path: service for service in plan.services}
        bounds = {
            path: found
            for path in record.services
            if (found := bounds_in(services.get(path), record, path, self._signer)) is not None
        }
        decisions: dict[str, ScaleDecision] = {}
        woken: list[str] = []
        for path, own in bounds.items():
            memory = self._memory(record, path, now)
            if record.services[path] and not memory.past.wanted:
                woken.append(path)
                memory.woken_at = now
            decisions[path] = self._decide(own, memory, record, path, now)
            if decisions[path].wanted and not record.services[path]:
                woken.append(path)
                memory.woken_at = now
        self._wake_below(woken, services, bounds, record, decisions, now)
        for path, decision in decisions.items():
            record = self._apply(bounds[path], services.get(path), record, path, decision, now)
        return record

    def _memory(self, record: GenerationRecord, path: str, now: float) -> _Memory:
        place = (record.name, record.generation, path)
        memory = self._memories.get(place)
        if memory is None:
            past = Past.begin(record.services[path], now)
            memory = self._memories[place] = _Memory(past=past, woken_at=now)
        return memory

    def _decide(
        self,
        bounds: ReplicaBounds,
        memory: _Memory,
        record: GenerationRecord,
        path: str,
        now: float,
    ) -> ScaleDecision:
        load = self._load(record, path)
        self.is_busy = self.is_busy or load.calls > 0
        decision, memory.past = decide(bounds, memory.past, load, record.services[path], now)
        return decision

    def _load(self, record: GenerationRecord, path: str) -> Load:
        if self._loads is None:
            self._loads = self._store.registry.loads()
        under_way, held = self._loads.get((record.name, record.generation, path), (0.0, 0.0))
        return Load(under_way=under_way, held=held)

    def _wake_below(
        self,
        woken: Sequence[str],
        services: Mapping[str, Service],
        bounds: Mapping[str, ReplicaBounds],
        record: GenerationRecord,
        decisions: dict[str, ScaleDecision],
        now: float,
    ) -> None:
        """Wake all that woken services will call, however deep, at the same time as they."""
        above, seen = list(woken), set(woken)
        while above:
            caller = above.pop()
            for path, service in services.items():
                if caller not in service.parents or path in seen:
                    continue
                seen.add(path)
                above.append(path)
                if path in bounds and not (record.services[path] or decisions[path].wanted):
                    decisions[path] = ScaleDecision(
                        wanted=1, why=f"woken with {caller}, which calls it"
                    )
                    memory = self._memory(record, path, now)
                    memory.woken_at = now
                    memory.past = replace(memory.past, wanted=1, called_at=now)

    def _apply(
        self,
        bounds: ReplicaBounds,
        service: Service | None,
        record: GenerationRecord,
        path: str,
        decision: ScaleDecision,
        now: float,
    ) -> GenerationRecord:
        memory, before, known = (
            self._memory(record, path, now),
            record.services[path],
            record.scaling,
        )
        floor = _floor(bounds, record, path, memory.woken_at, now) if decision.wanted else 0
        why = decision.why or known.why.get(path, "").partition(MISSING)[0] or UNCHANGED
        if decision.wanted == before:
            if (lack := self._lack(service, memory, record, path, now)) is not None:
                why = f"{why}{MISSING}{lack}"
            is_said = (known.why.get(path), known.ranges.get(path)) == (why, str(bounds))
            if is_said and min(known.floors.get(path, before), before) == min(floor, before):
                return record
        else:
            memory.short_since = None
        place = (record.name, record.generation)
        change = ScaleChange(
            path=path,
            before=before,
            wanted=decision.wanted,
            signature=self._signer.sign_count(*place, path, decision.wanted),
            floor=floor,
            why=why,
            bounds=str(bounds),
        )
        if not self._store.deployments.autoscale(*place, change):
            return record
        return replace(
            record,
            services={**record.services, path: decision.wanted},
            scaled={**record.scaled, path: change.signature},
        )

    def _lack(
        self,
        service: Service | None,
        memory: _Memory,
        record: GenerationRecord,
        path: str,
        now: float,
    ) -> str | None:
        """Return what is missing for the replicas that don't come; None while they may come."""
        missing = record.services[path] - record.ready.get(path, 0)
        if missing <= 0 or path not in record.repairs.values():
            memory.short_since = None
            return None
        if memory.short_since is None:
            memory.short_since = now
        if now - memory.short_since < MISSING_AFTER_S:
            return None
        needs = {} if service is None else service.resources
        return f"{missing} of {record.services[path]}, as {lacking(needs, self._agents)}"


def lacking(needs: Mapping[str, float], agents: Sequence[AgentRecord]) -> str:
    """Say why no worker starts a replica with these needs, by what the live workers offer."""
    taking = [agent.info for agent in agents if agent.info.state == "running"]
    if not taking:
        return "no worker is running"
    if not needs:
        return "no worker has a free slot for it"
    wanted = resources_text(needs)
    have = "; ".join(
        f"{info.worker} has {resources_text(info.resources) or 'none'}" for info in taking[:5]
    )
    fits = any(
        all(info.resources.get(name, 0) >= amount for name, amount in needs.items())
        for info in taking
    )
    if not fits:
        return f"no live worker offers {wanted} ({have})"
    return f"no worker has {wanted} free ({have})"


def _floor(
    bounds: ReplicaBounds, record: GenerationRecord, path: str, woken_at: float, now: float
) -> int:
    """Return how many ready replicas are enough: more that calls ask for may be on their way."""
    if bounds.lowest:
        return bounds.lowest
    is_up = record.ready.get(path, 0) > 0 or record.scaling.floors.get(path) == 1
    return int(is_up or now - woken_at > WAKES_S)
