"""A worker of the simulation: claims, runs, serves, renews as an agent does, without processes.

It keeps what an agent keeps (an incarnation, a lease, running tasks, replicas, finishes that wait
to be taken) and forgets it when it crashes. A call that fails is made again at its next turn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.controller import Controller
from orchestrator.queue import agent_queue, plain_queue
from orchestrator.records import AgentInfo, Claim, Finish, ReplicaRecord
from orchestrator.states import ReplicaState, TaskState

if TYPE_CHECKING:
    from tests.properties.simulation import World

LEASE_MS = 10_000
SLOTS = 3


@dataclass(slots=True)
class Running:
    """A claimed task, and when its work is done."""

    claim: Claim
    ends_at: float


class SimulatedAgent:
    """One worker; `turn` is its next step at the world's time."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.finishing: list[tuple[str, bool]] = []
        self.is_alive = True
        self.stalled_until = self.cut_until = 0.0
        self.be_born()
        self.store = world.store_for(self)

    def be_born(self) -> None:
        """Begin another incarnation, which holds nothing."""
        self.id = f"{self.name}-{self.world.birth()}"
        self.jobs: dict[str, Running] = {}
        self.replicas: dict[str, ReplicaRecord] = {}
        self.to_drop: list[ReplicaRecord] = []
        self.outbox: list[Finish] = []
        self.has_joined, self.store_id = False, ""
        self.renewed_at, self.renew_at, self.round_at = self.world.now, 0.0, 0.0
        self.cursor = "0-0"
        self.controller: Controller | None = None

    def turn(self) -> None:
        """Do what is due; a call that fails ends the turn."""
        world = self.world
        if world.now < self.stalled_until or (self.has_joined is False and not self.join()):
            return
        if world.random.random() < 0.3:
            # Nothing says that the lease is looked at before the work is told.
            self.work()
            self.exchange()
        if world.now >= self.renew_at:
            renewed = self.store.renew(self.id, LEASE_MS)
            if not renewed.known:
                self.be_born()
                return
            self.renewed_at, self.renew_at = world.now, world.now + LEASE_MS / 3000
        self.obey()
        self.work()
        self.exchange()
        for record in list(self.to_drop):
            self.store.drop_replica(record.name, record.generation, record.replica, "told to")
            self.to_drop.remove(record)
        if world.now >= self.round_at:
            self.round_at = world.now + 2.0
            self.store.sweep(LEASE_MS)
            self.controller = self.controller or Controller(
                self.store, world.signer, self.id, LEASE_MS / 1000
            )
            self.controller.run_once(world.clock())

    def join(self) -> bool:
        """Take a lease; an id that is gone is given up."""
        info = AgentInfo(
            id=self.id, worker=self.name, slots=SLOTS, queues=(plain_queue(self.world.keys.prefix),)
        )
        joined = self.store.join(info, LEASE_MS)
        if not joined.known:
            self.be_born()
            return False
        self.has_joined, self.renewed_at = True, self.world.now
        self.renew_at = self.world.now + LEASE_MS / 3000
        return True

    def obey(self) -> None:
        """Take the commands from the inbox."""
        self.world.must_reach(self)
        inbox = self.world.keys.inbox(self.id)
        for key, entries in self.world.redis.xread({inbox: self.cursor}) or ():
            del key
            for entry, fields in entries:
                self.cursor = entry.decode()
                self.command(self.world.parse(fields[b"c"]))

    def command(self, command: dict[str, str]) -> None:
        if command["op"] == "stop_replica" and command["replica"] in self.replicas:
            self.to_drop.append(self.replicas.pop(command["replica"]))
        if command["op"] == "cancel_job" and command["job"] in self.jobs:
            self.end(self.jobs[command["job"]].claim, succeeded=False)

    def work(self) -> None:
        """Finish the tasks whose work is done."""
        for running in list(self.jobs.values()):
            if self.world.now < running.ends_at:
                continue
            claim = running.claim
            if claim.kind == "deploy" and claim.path in self.world.services(claim):
                if not self.publish(claim):
                    self.end(claim, succeeded=False)
                    continue
            elif claim.kind == "prepare":
                self.hold(claim)
            self.end(claim, succeeded=claim.kind != "train" or self.world.random.random() > 0.05)

    def end(self, claim: Claim, *, succeeded: bool) -> None:
        del self.jobs[claim.job_id]
        state = TaskState.SUCCEEDED if succeeded else TaskState.FAILED
        error = None if succeeded else {"type": "E", "message": "no", "traceback": ""}
        self.outbox.append(Finish(job_id=claim.job_id, token=claim.token, state=state, error=error))

    def hold(self, claim: Claim) -> None:
        record = ReplicaRecord(
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
        # Held before anyone is told: the answer may be lost.
        self.replicas[record.replica] = record
        if not self.store.put_replica(self.id, record):
            del self.replicas[record.replica]

    def publish(self, claim: Claim) -> bool:
        """Make the prepared replica, or a new one, ready; False when nobody wants it any more."""

        def find() -> ReplicaRecord | None:
            place = (claim.name, claim.generation, claim.path, ReplicaState.STARTING)
            for each in self.replicas.values():
                if (each.name, each.generation, each.path, each.state) == place:
                    return each
            return None

        if find() is None:
            self.hold(claim)
        record = find()
        if record is None:
            return False
        ready = replace(record, state=ReplicaState.READY)
        if not self.store.put_replica(self.id, ready):
            return False
        self.replicas[record.replica] = ready
        return True

    def exchange(self) -> None:
        """Send what has ended, and claim what fits."""
        prefix = self.world.keys.prefix
        self.finishing = [(each.job_id, each.state == "succeeded") for each in self.outbox]
        answer = self.store.exchange(
            self.id,
            finishes=self.outbox,
            queues=[agent_queue(prefix, self.id), plain_queue(prefix)],
            limit=SLOTS - len(self.jobs),
        )
        self.outbox = []
        if not answer.known:
            self.be_born()
            return
        for claim in answer.claims:
            length = self.world.random.choice([0.0, 1.0, 5.0])
            self.jobs[claim.job_id] = Running(claim=claim, ends_at=self.world.now + length)
