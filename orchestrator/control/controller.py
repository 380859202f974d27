"""The controller: keeps what runs equal to what was asked for.

Any agent can be it; a leader lease lets one act at a time. Each round sweeps what has died, reads
every active generation, asks the pure `reconcile` what to do and has it done through the store.
What it keeps in memory only spaces its actions out: a new leader that knows nothing of it does the
same, a little sooner.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from rootward.modules.errors import RootwardError
from rootward.modules.rpc.bounds import MOST_REPLICAS

from ..planning.graph import Kind, Service
from ..scaling.autoscaler import Autoscaler
from ..security.sealing import mark_of
from ..security.signing import payload
from ..states import DeploymentState, TaskState
from ..status.read_status import GONE, read_plan
from ..store.records import TaskSpec
from ..store.rq_compat import repair_job_id, resource_queue
from .canaries import watch_canary
from .candidates import judge_candidate
from .preemption import Successor, giving_way
from .reconcile import (
    Action,
    Desired,
    FailGeneration,
    Observed,
    SeenReplica,
    ServiceWish,
    StartReplica,
    StopReplica,
    Trial,
    Wish,
    reconcile,
)

if TYPE_CHECKING:
    from ..planning.plan import Plan
    from ..security.signing import Signer
    from ..store.records import GenerationRecord
    from ..store.store import Store

log = logging.getLogger(__name__)

TELL_AGAIN_S = 3.0
LOOK_AGAIN_S = 5.0

Place = tuple[str, int]


@dataclass(slots=True)
class _Memory:
    """What the controller remembers of one generation between rounds; all of it can be lost."""

    plan: Plan | None = None
    has_ranges: bool | None = None
    deployed: set[str] = field(default_factory=set)
    looked_at: float = 0.0
    trials: dict[str, Trial] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)


class Controller:
    """Reconciles all generations of one store; `lease_s` is the leader's lease in seconds."""

    def __init__(self, store: Store, signer: Signer, agent_id: str, lease_s: float) -> None:
        self._store = store
        self._signer = signer
        self._agent_id = agent_id
        self._lease_ms = round(lease_s * 1000)
        self._memories: dict[Place, _Memory] = {}
        self._autoscaler = Autoscaler(store, signer)
        self._leaving: frozenset[str] = frozenset()

    def run_once(self, now: float, *, is_swept: bool = False) -> bool:
        """Do one round at the time `now` (Unix seconds); return whether this one leads.

        It begins with a sweep, unless the caller has just swept.
        A generation that can't be read or helped is told in the log and doesn't keep the others
        from being looked after.
        """
        if not self._store.agents.lead(self._agent_id, self._lease_ms):
            self._memories.clear()
            self._autoscaler.forget()
            return False
        if not is_swept:
            self._store.agents.sweep(self._lease_ms)
        active = [
            record for place in self._store.deployments.active() if (record := self._read(place))
        ]
        places = {(record.name, record.generation) for record in active}
        self._memories = {k: m for k, m in self._memories.items() if k in places}
        agents = self._store.agents.all() if active else ()
        self._autoscaler.begin_round(agents)
        self._leaving = frozenset(
            agent.info.id for agent in agents if agent.info.state == "draining"
        )
        for record in active:
            try:
                judge_candidate(self._store, self._signer, record)
                watch_canary(self._store, record)
                self._look_after(record, active, now)
            except RootwardError as error:
                log.warning(
                    "%s@%s can't be looked after: %s",
                    record.name,
                    record.generation,
                    error,
                    extra={"event": "controller.refused"},
                )
        return True

    @property
    def is_busy(self) -> bool:
        """Whether calls of services that follow their calls were under way in the last round."""
        return self._autoscaler.is_busy

    def _read(self, place: Place) -> GenerationRecord | None:
        return self._store.deployments.generation(*place)

    def _look_after(
        self, record: GenerationRecord, active: list[GenerationRecord], now: float
    ) -> None:
        if not record.services and record.deadline_at is None:
            return
        place = (record.name, record.generation)
        memory = self._memories.setdefault(place, _Memory())
        record = self._with_calls(record, memory, now)
        if record.is_settled and not self._leaving and not _has_sibling(record, active):
            # Nothing can be told to come or go: its replicas needn't be read.
            memory.trials.clear()
            return
        if memory.plan is None and not record.is_restored:
            memory.plan = read_plan(self._store, self._signer, *place)
        observed = self._observe(record, memory, now)
        desired = self._desire(record, memory, active, observed, now)
        for action in reconcile(desired, observed, now):
            self._do(action, record, memory, now)

    def _with_calls(
        self, record: GenerationRecord, memory: _Memory, now: float
    ) -> GenerationRecord:
        """Return the generation with the numbers of replicas that its calls ask for."""
        if record.is_restored or not record.services:
            return record
        if memory.has_ranges is None:
            # Once, whatever it says: one that can't be read is nobody's to scale.
            memory.has_ranges = False
            memory.plan = read_plan(self._store, self._signer, record.name, record.generation)
            services = () if memory.plan is None else memory.plan.services
            memory.has_ranges = any(service.bounds is not None for service in services)
        if not (memory.has_ranges or record.scaling.asked):
            return record
        if memory.plan is None:
            memory.plan = read_plan(self._store, self._signer, record.name, record.generation)
        return record if memory.plan is None else self._autoscaler.adjust(record, memory.plan, now)

    def _observe(self, record: GenerationRecord, memory: _Memory, now: float) -> Observed:
        replicas = self._replicas(record)
        for path, wanted in record.services.items():
            if record.ready.get(path, 0) >= wanted:
                memory.trials.pop(path, None)
        return Observed(
            replicas=replicas,
            deployed=self._deployed(record, memory, now),
            open_starts=Counter(record.repairs.values()),
            trials=memory.trials,
        )

    def _replicas(self, record: GenerationRecord) -> tuple[SeenReplica, ...]:
        """Return the replicas of a generation; what no living agent holds is taken out."""
        registry, place = self._store.registry, (record.name, record.generation)
        found = registry.replicas(*place)
        if len(found) != record.replicas:
            for stray in registry.strays(*place):
                log.warning(
                    "%s@%s: a record of a replica %r that no worker holds is taken out",
                    *place,
                    stray,
                    extra={"event": "registry.mended"},
                )
                registry.take_out(*place, stray)
        return tuple(
            SeenReplica(
                id=replica.replica,
                path=replica.path,
                agent_id=replica.agent_id,
                state=str(replica.state),
                since=replica.since,
                is_leaving=replica.agent_id in self._leaving,
            )
            for replica, _ in found
        )

    def _deployed(self, record: GenerationRecord, memory: _Memory, now: float) -> frozenset[str]:
        """Return the services whose deploy task has succeeded."""
        if record.state in {DeploymentState.READY, DeploymentState.DEGRADED}:
            return frozenset(record.services)
        memory.deployed.update(path for path, ready in record.ready.items() if ready)
        unclear = set(record.services) - memory.deployed
        # A ready replica tells it for nothing; reading all tasks is kept for the rare rest.
        if unclear and now >= memory.looked_at + LOOK_AGAIN_S:
            memory.looked_at = now
            memory.deployed.update(
                task.path
                for task in self._store.tasks.of(record.name, record.generation)
                if task.kind == Kind.DEPLOY and task.state is TaskState.SUCCEEDED and task.path
            )
        return frozenset(memory.deployed)

    def _desire(
        self,
        record: GenerationRecord,
        memory: _Memory,
        active: list[GenerationRecord],
        observed: Observed,
        now: float,
    ) -> Desired:
        wish = self._wish(record)
        services = {s.path: s for s in (memory.plan.services if memory.plan else ())}
        gives_way: frozenset[str] = frozenset()
        if wish in {Wish.KEEP, Wish.LEAVE} and any(_is_scarce(s) for s in services.values()):
            gives_way = self._giving_way(record, services, active, observed, now)
        return Desired(
            wish=wish,
            services=tuple(
                ServiceWish(
                    path=path,
                    wanted=self._allowed(record, services.get(path), path, observed),
                    parents=services[path].parents if path in services else (),
                    startup_timeout=services[path].startup_timeout if path in services else 60.0,
                    gives_way=path in gives_way,
                    is_exclusive=path in services and services[path].exclusive,
                    is_woken=_may_sleep(services.get(path), record, path),
                )
                for path in record.services
            ),
            deadline_at=record.deadline_at,
            is_replaced=wish is Wish.END and self._is_replaced(record),
        )

    def _allowed(
        self, record: GenerationRecord, service: Service | None, path: str, observed: Observed
    ) -> int:
        """Return how many replicas a service is to have, which isn't what anybody writes there.

        More than its plan has are started only for a signed number. What runs already stays: who
        brings it back after a loss of data can't sign for who had asked for it.
        """
        wanted = record.services[path]
        running = sum(replica.path == path for replica in observed.replicas)
        allowed = max(running, 0 if service is None else service.wanted)
        if wanted <= allowed or self._is_signed(record, path, wanted):
            return wanted
        place = (record.name, record.generation)
        memory = self._memories.setdefault(place, _Memory())
        if memory.refused.get(path) != wanted:
            memory.refused[path] = wanted
            log.warning(
                "%s@%s: %d replicas of %s are wanted, and nobody with the secret has asked for "
                "them: %d it is",
                *(*place, wanted, path, allowed),
                extra={"event": "controller.refused"},
            )
        return allowed

    def _is_signed(self, record: GenerationRecord, path: str, wanted: int) -> bool:
        place, signature = (record.name, record.generation), record.scaled.get(path, "")
        is_count = wanted <= MOST_REPLICAS and bool(signature)
        return is_count and self._signer.is_count(*place, path, wanted, signature)

    def _wish(self, record: GenerationRecord) -> Wish:
        match record.state:
            case DeploymentState.PENDING | DeploymentState.PROGRESSING:
                return Wish.GROW
            case DeploymentState.READY | DeploymentState.DEGRADED:
                return Wish.KEEP
            case DeploymentState.FAILED:
                return Wish.END if record.retire or self._is_replaced(record) else Wish.LEAVE
            case DeploymentState.CANCELLED | DeploymentState.STOPPING | DeploymentState.STOPPED:
                return Wish.END
            case _:
                assert_never(record.state)

    def _is_replaced(self, record: GenerationRecord) -> bool:
        deployment = self._store.deployments.get(record.name)
        if deployment is None or deployment.current is None:
            return False
        # A canary that is rolled back, and what a rollback replaces, end as what a newer one
        # replaces does: without cutting a call.
        return record.makes_current and deployment.current != record.generation

    def _giving_way(
        self,
        record: GenerationRecord,
        services: dict[str, Service],
        active: list[GenerationRecord],
        observed: Observed,
        now: float,
    ) -> frozenset[str]:
        successors = [
            successor
            for newer in active
            if newer.name == record.name and newer.generation > record.generation
            if newer.state.is_progressing and newer.makes_current
            # A canary stands beside what is current, so nothing makes room for it.
            if newer.rollout.percent is None
            for successor in self._successors(newer)
        ]
        if not successors:
            return frozenset()
        running = Counter(
            replica.path for replica in observed.replicas if replica.state not in GONE
        )
        offers = [agent.info.resources for agent in self._store.agents.all()]
        return giving_way(services.values(), running, successors, offers, now)

    def _successors(self, newer: GenerationRecord) -> list[Successor]:
        memory = self._memories.setdefault((newer.name, newer.generation), _Memory())
        if memory.plan is None and not newer.is_restored:
            memory.plan = read_plan(self._store, self._signer, newer.name, newer.generation)
        scarce = {s.path: s for s in (memory.plan.services if memory.plan else ()) if _is_scarce(s)}
        if not scarce:
            return []
        return [
            Successor(service=scarce[task.path], state=str(task.state), queued_at=task.queued_at)
            for task in self._store.tasks.of(newer.name, newer.generation)
            if task.kind == Kind.DEPLOY and task.path in scarce
        ]

    def _do(self, action: Action, record: GenerationRecord, memory: _Memory, now: float) -> None:
        match action:
            case StartReplica() if record.is_restored:
                # Nothing is left to start it from; the record's reason says so.
                return
            case StartReplica():
                self._start(action.path, record, memory, now)
            case StopReplica():
                self._tell_to_stop(action, memory, now)
            case FailGeneration():
                self._store.deployments.fail(record.name, record.generation, action.reason)
            case _:
                assert_never(action)

    def _start(self, path: str, record: GenerationRecord, memory: _Memory, now: float) -> None:
        name, generation, prefix = record.name, record.generation, self._store.keys.prefix
        service = memory.plan.service(path) if memory.plan else None
        job = repair_job_id(prefix, name, generation)
        task = f"{Kind.DEPLOY}:{path}"
        self._store.deployments.add_repair(
            name,
            generation,
            path,
            spec=TaskSpec(
                id=task,
                data=payload(self._signer, name, generation, task, job, mark_of(record.submission)),
                queue=resource_queue(prefix, service.resources if service else {}),
            ),
            job_id=job,
        )
        before = memory.trials.get(path)
        # Several replicas that are started in one round are one try.
        count = 1 if before is None else before.count + (before.last_at != now)
        memory.trials[path] = Trial(count=count, last_at=now)

    def _tell_to_stop(self, action: StopReplica, memory: _Memory, now: float) -> None:
        # Told again only after a while: the message may have been lost with its reader.
        if now < memory.told.get(action.replica, float("-inf")) + TELL_AGAIN_S:
            return
        memory.told[action.replica] = now
        self._store.agents.command(
            action.agent_id,
            {"op": "stop_replica", "replica": action.replica, "grace": action.grace_s},
        )


def _may_sleep(service: Service | None, record: GenerationRecord, path: str) -> bool:
    """Whether it may have been asleep: a call for it is held, and not for each below in turn."""
    own = service is not None and service.bounds is not None and service.bounds.may_sleep
    return own or record.scaling.asked.get(path, ("", ""))[0].startswith("0..")


def _is_scarce(service: Service) -> bool:
    return service.port is not None or bool(service.resources)


def _has_sibling(record: GenerationRecord, active: list[GenerationRecord]) -> bool:
    return any(other.name == record.name and other is not record for other in active)
