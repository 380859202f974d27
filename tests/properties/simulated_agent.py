"""A worker of the simulation: claims, runs, serves, renews as an agent does, without processes.

It keeps what an agent keeps (an incarnation, a lease, running tasks, replicas, finishes that wait
to be taken) and forgets it when it crashes. What are threads in an agent are loops here, each due
at a time of its own; one that is rung for, or fails, is due sooner. None is looked at in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rootward.orchestrator.control.controller import Controller
from rootward.orchestrator.states import ReplicaState, TaskState
from rootward.orchestrator.store.records import (
    AgentInfo,
    Claim,
    Finish,
    GenerationBlob,
    ReplicaRecord,
)
from rootward.orchestrator.store.rq_compat import agent_queue, plain_queue
from rootward.worker.agent.heartbeat import IDLE_LEASES, IDLE_SHARE
from tests.properties.simulated_client import LIVE
from tests.properties.simulated_network import Lost

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.properties.simulation import World

LEASE_MS = 10_000
LEASE_S = LEASE_MS / 1000
SLOTS = 2
LENGTHS_S = (0.0, 1.0, 5.0, 12.0)
LOOK_S = 5.0
DRAIN_S = 60.0


@dataclass(slots=True)
class Running:
    """A claimed task, when its work is done, and the replica that it brings up."""

    claim: Claim
    ends_at: float
    record: ReplicaRecord | None = None
    is_held: bool = False
    is_cancelled: bool = False


class Loop:
    """One thread of an agent: `act` says in how many seconds it is due again, or None."""

    def __init__(self, agent: SimulatedAgent, act: Callable[[], float | None]) -> None:
        self._agent, self._act = agent, act
        self._at = float("inf")

    def due(self, delay_s: float) -> None:
        """Have it act then, unless it does sooner."""
        world = self._agent.world
        if (at := world.now + delay_s) < self._at:
            self._at = at
            world.later(delay_s, lambda: self._turn(at))

    def _turn(self, at: float) -> None:
        agent, world = self._agent, self._agent.world
        if at != self._at or not agent.is_alive:
            return
        self._at = float("inf")
        if world.now < agent.stalled_until:
            self.due(agent.stalled_until - world.now + world.random.uniform(0.0, 0.1))
            return
        try:
            delay_s = self._act()
        except Lost as lost:
            delay_s = max(0.0, lost.back_at - world.now) + world.random.uniform(0.01, 0.5)
        if delay_s is not None:
            self.due(delay_s)


class SimulatedAgent:
    """One worker, from its first joining until it crashes or leaves."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.store = world.store_for(self)
        self.is_alive, self.drained_at, self.has_told = True, float("inf"), False
        self.stalled_until = self.cut_until = 0.0
        self.keeper, self.pump = Loop(self, self.keep), Loop(self, self.exchange)
        self.bell, self.work = Loop(self, self.obey), Loop(self, self.do_work)
        self.rounds, self.exit = Loop(self, self.do_round), Loop(self, self.leave)
        self.restoring = Loop(self, self.restore)
        self.be_born()

    def be_born(self) -> None:
        """Begin another incarnation, which holds nothing."""
        self.id = f"{self.name}-{self.world.birth()}"
        self.jobs: dict[str, Running] = {}
        self.replicas: dict[str, ReplicaRecord] = {}
        self.to_drop: list[ReplicaRecord] = []
        self.to_restore: list[ReplicaRecord] = []
        self.submissions: dict[str, str] = {}
        self.outbox: list[Finish] = []
        self.sent: list[Finish] = []
        self.awaits_answer = False
        self.has_joined, self.renewed_at, self.rests = False, self.world.now, False
        self.cursor, self.beats = "0-0", 0
        self.controller = Controller(self.store, self.world.signer, self.id, LEASE_S)
        self.seen, self.looked_at = -1, float("-inf")
        self.keeper.due(self.world.random.uniform(0.0, 1.0))

    @property
    def is_draining(self) -> bool:
        return self.drained_at < float("inf")

    @property
    def sending(self) -> list[tuple[str, bool]]:
        """What the exchange under way finishes, and whether with success."""
        return [(each.job_id, each.state == "succeeded") for each in self.sent]

    # The lease.

    def keep(self) -> float:
        """Join, or renew the lease."""
        if not self.has_joined:
            self.join()
            for loop in (self.pump, self.bell, self.rounds):
                loop.due(self.world.random.uniform(0.0, 0.05))
        else:
            renewed = self.store.agents.renew(
                self.id, LEASE_MS, idle_ms=IDLE_LEASES * LEASE_MS, beats=self.beats
            )
            if renewed.is_forgotten:
                self.rejoin()
                return LEASE_S / 3
            if not renewed.known:
                self.be_born()
                return 0.0
            self.rests = renewed.is_idle
            self.beats += 1
        self.renewed_at = self.world.now
        return IDLE_SHARE * IDLE_LEASES * LEASE_S if self.rests else LEASE_S / 3

    def rouse(self, delay_s: float) -> None:
        """Look again: something may be active now."""
        if self.rests:
            self.keeper.due(delay_s)
            self.rounds.due(delay_s)

    def join(self) -> None:
        """Take a lease, or tell of another state; an id that is gone is given up."""
        if not self.store.agents.join(self._info(), LEASE_MS).known:
            self.be_born()
            return
        self.has_joined = True

    def rejoin(self) -> None:
        """Be registered as before, with what it serves; tasks are lost with the store's data.

        Each step is made again when its answer is lost, as `keep` comes here again until then.
        """
        self.jobs, self.outbox, self.sent, self.awaits_answer = {}, [], [], False
        joined = self.store.agents.rejoin(self._info(), LEASE_MS, self.store.tasks.next_request())
        if not joined.known:
            self.be_born()
            return
        self.renewed_at, self.beats = self.world.now, 0
        self.to_restore = list(self.replicas.values())
        self.restoring.due(0.0)
        self.pump.due(0.0)

    def restore(self) -> float | None:
        """Register what it served again; what nobody wants any more ends."""
        world, ready = self.world, ReplicaState.READY
        while self.to_restore:
            record = self.to_restore[0]
            is_wanted = record.state is ready and record.generation == world.last_current
            origin = GenerationBlob(
                tree=b"", plan=b"", makes_current=True,
                submission=self.submissions.get(record.replica, ""),
                services={each.path: each.wanted for each in world.client.plans[LIVE].services},
            )  # fmt: skip
            if not (is_wanted and self.store.registry.put(self.id, record, restore=origin)):
                self.replicas.pop(record.replica, None)
                self.to_drop.append(record)
                self.bell.due(0.0)
            else:
                world.restored += 1
            self.to_restore.pop(0)
        return None

    def _info(self) -> AgentInfo:
        queues = (plain_queue(self.world.keys.prefix),)
        state = "draining" if self.is_draining else "running"
        return AgentInfo(id=self.id, worker=self.name, slots=SLOTS, queues=queues, state=state)

    def drain(self) -> None:
        """Take no more, serve until others do, then leave."""
        if not self.is_draining:
            self.drained_at = self.world.now + DRAIN_S
            self.exit.due(0.0)

    def leave(self) -> float | None:
        """Say that it drains; when nothing is held any more, or it took too long, leave."""
        world = self.world
        if self.has_joined and world.now < self.drained_at:
            if not self.has_told:
                self.join()
                self.has_told = self.has_joined
            holds = self.jobs or self.outbox or self.sent
            has_heirs = any(each.info.state == "running" for each in self.store.agents.all())
            if holds or (self.replicas and has_heirs):
                return 1.0
        for record in list(self.replicas.values()):
            self.store.registry.drop(record.name, record.generation, record.replica, "drained")
            del self.replicas[record.replica]
        self.store.agents.leave(self.id)
        world.replace(self)
        return None

    # Commands and the controller.

    def obey(self) -> float | None:
        """Take the commands from the inbox, and let go of what was told to go."""
        if not self.has_joined:
            return None
        self.world.network.must_reach(self)
        inbox = self.world.keys.inbox(self.id)
        for _, entries in self.world.redis.xread({inbox: self.cursor}) or ():
            for entry, fields in entries:
                self.cursor = entry.decode()
                self.command(self.world.parse(fields[b"c"]))
        for record in list(self.to_drop):
            self.store.registry.drop(record.name, record.generation, record.replica, "told to")
            self.to_drop.remove(record)
        return None

    def command(self, command: dict[str, str]) -> None:
        if command["op"] == "stop_replica" and command["replica"] in self.replicas:
            self.to_drop.append(self.replicas.pop(command["replica"]))
        if command["op"] == "cancel_job" and command["job"] in self.jobs:
            self.jobs[command["job"]].is_cancelled = True
            self.work.due(0.0)

    def do_round(self) -> float | None:
        """Sweep; do the controller's round when something was written since, or after a while."""
        if not self.has_joined:
            return None
        world = self.world
        swept = self.store.agents.sweep(LEASE_MS, self.id)
        if swept.is_idle and self.rests:
            round_s = IDLE_LEASES * LEASE_S
            due_s = round_s if swept.due_ms is None else swept.due_ms / 1000
            return world.random.uniform(0.0, 0.1) + min(due_s, round_s)
        if self.seen != world.written or world.now >= self.looked_at + LOOK_S:
            self.controller.run_once(world.clock())
            self.seen, self.looked_at = world.written, world.now
        return world.random.uniform(1.5, 2.5)

    # Tasks and replicas.

    def exchange(self) -> float | None:
        """Send what has ended, and claim what fits; an exchange without answer is made again."""
        limit = 0 if self.is_draining else SLOTS - len(self.jobs)
        if not self.has_joined or not (self.awaits_answer or self.outbox or limit > 0):
            return None
        if not self.awaits_answer:
            self.sent, self.outbox, self.awaits_answer = self.outbox, [], True
        prefix, me = self.world.keys.prefix, self.id
        queues = [agent_queue(prefix, me), plain_queue(prefix)]
        answer = self.store.tasks.exchange(me, finishes=self.sent, queues=queues, limit=limit)
        self.sent, self.awaits_answer = [], False
        if answer.is_forgotten:
            self.keeper.due(0.0)
            return None
        if not answer.known:
            self.be_born()
            return None
        for claim in answer.claims:
            length = self.world.random.choice(LENGTHS_S)
            self.jobs[claim.job_id] = Running(claim=claim, ends_at=self.world.now + length)
            self.work.due(length)
        # Fewer than wanted: what is released later rings.
        return 0.001 if self.outbox or 0 < limit <= len(answer.claims) else None

    def do_work(self) -> float | None:
        """End the tasks whose work is done."""
        for running in list(self.jobs.values()):
            if self.world.now >= running.ends_at or running.is_cancelled:
                self.end(running.claim, succeeded=self.carry_out(running))
        ends = [running.ends_at for running in self.jobs.values()]
        return max(0.0, min(ends) - self.world.now) if ends else None

    def carry_out(self, running: Running) -> bool:
        """Do what the task is there for; a registration under way is first brought to its end."""
        if running.is_cancelled and running.record is None:
            return False
        match running.claim.kind:
            case "deploy":
                return self.publish(running)
            case "prepare":
                return self.hold(running)
            case _:
                return self.world.random.random() > 0.05

    def end(self, claim: Claim, *, succeeded: bool) -> None:
        del self.jobs[claim.job_id]
        state = TaskState.SUCCEEDED if succeeded else TaskState.FAILED
        error = None if succeeded else {"type": "E", "message": "no", "traceback": ""}
        self.outbox.append(Finish(job_id=claim.job_id, token=claim.token, state=state, error=error))
        self.pump.due(0.001)

    def publish(self, running: Running) -> bool:
        """Make the prepared replica, or a new one, ready; False when nobody wants it any more."""
        if running.record is None:
            running.record = self.prepared(running.claim)
            running.is_held = running.record is not None
        if not self.hold(running) or running.record is None:
            return False
        ready = replace(running.record, state=ReplicaState.READY)
        self.submissions[ready.replica] = self.world.client.submission_of.get(
            (ready.name, ready.generation), ""
        )
        if not self.store.registry.put(self.id, ready):
            self.replicas.pop(ready.replica, None)
            return False
        self.replicas[ready.replica] = ready
        return True

    def prepared(self, claim: Claim) -> ReplicaRecord | None:
        place = (claim.name, claim.generation, claim.path, ReplicaState.STARTING)
        busy = {each.record.replica for each in self.jobs.values() if each.record is not None}
        for each in self.replicas.values():
            found = (each.name, each.generation, each.path, each.state)
            if found == place and each.replica not in busy:
                return each
        return None

    def hold(self, running: Running) -> bool:
        """Have a replica that is starting; False when its generation takes none any more."""
        if running.is_held:
            return True
        if running.record is None:
            running.record = self.new_replica(running.claim)
            # Held before anyone is told: the answer may be lost.
            self.replicas[running.record.replica] = running.record
        running.is_held = self.store.registry.put(self.id, running.record)
        if not running.is_held:
            self.replicas.pop(running.record.replica, None)
        return running.is_held

    def new_replica(self, claim: Claim) -> ReplicaRecord:
        return ReplicaRecord(
            replica=f"r{self.world.birth()}",
            name=claim.name,
            generation=claim.generation,
            path=claim.path or "",
            agent_id=self.id,
            worker=self.name,
            state=ReplicaState.STARTING,
            url="http://127.0.0.1:1",
            token="t",
            since=self.world.clock(),
        )
