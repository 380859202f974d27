"""A simulated network: the real scripts and the real controller under a clock that tests turn.

Agents are small state machines over the real store on fakeredis. Between them and Redis stands a
network that loses requests and answers, doubles calls, delivers them late, and goes away; agents
crash and stall, and the clock of Redis jumps. All chance comes from one seed, so a seed is a story.
What is right is judged by a `Ledger` of its own, which sees what the scripts were asked and said.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

import fakeredis

from orchestrator.client import plan as plan_of
from orchestrator.connection import Clients
from orchestrator.keys import Keys
from orchestrator.scripts import Scripts, source
from orchestrator.store import Store
from orchestrator.submission import Order, Writer
from orchestrator.transport import Signer
from tests.properties.ledger import Ledger, WrongError, served, trained
from tests.properties.simulated_agent import SimulatedAgent

LEASE_MS = 10_000
BEGINNING = 1_800_000_000.0
TICK_S = 1.0
EPISODE_S = 240.0
QUIET_S = 120.0
KINDS = ("lose request", "lose answer", "double", "late", "crash", "stall", "partition", "outage",
         "jump")  # fmt: skip


class Lost(ConnectionError):
    """A call that failed; whether it was applied is not known to the caller."""


class FlakyScripts(Scripts):
    """The scripts of one agent, behind the network."""

    def __init__(self, world: World, agent: SimulatedAgent | None, keys: Keys) -> None:
        super().__init__(world.redis, keys)
        self._world, self._agent = world, agent

    def run(self, name: str, keys: Any, args: Any, *, client: Any = None) -> Any:
        """Run a script as the network lets it."""
        world, agent = self._world, self._agent
        finishing = [] if agent is None else list(agent.finishing)
        who = "client" if agent is None else agent.id

        def apply() -> Any:
            answer = world.apply(name, keys, args)
            world.saw(who, name, finishing, args, answer)
            return answer

        world.must_reach(agent)
        fault = world.network_fault()
        if fault == "lose request":
            raise Lost(name)
        answer = apply()
        if fault == "lose answer":
            raise Lost(name)
        if fault == "double":
            answer = apply()
        if fault == "late":
            world.later(world.random.uniform(0.1, 20.0), lambda: apply() and None)
        return answer


class World:
    """Everything that happens, in order of a virtual time; `mutations` change scripts."""

    def __init__(
        self,
        seed: int,
        *,
        fault_every_s: float = 4.0,
        mutations: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.seed, self.random = seed, random.Random(seed)
        self.fault_every_s, self.mutations = fault_every_s, mutations or {}
        self.now, self.offset = 0.0, 0.0
        self.redis = fakeredis.FakeRedis(protocol=2)
        self.keys = Keys(prefix="sim")
        self.signer = Signer(b"a secret of the simulation, long enough")
        self.ledger = Ledger()
        self.faults: Counter[str] = Counter()
        self.trace: list[str] = []
        self.agents: list[SimulatedAgent] = []
        self.place_of: dict[str, tuple[str, int, str]] = {}
        self.submitted: set[tuple[str, int]] = set()
        self._due: list[str] = []
        self.away_until, self.is_calm = 0.0, False
        self._loaded: dict[str, Any] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._births = itertools.count(1)
        self._plans = {"live": plan_of(served("live"))}
        self.store = self.store_for(None)

    @contextlib.contextmanager
    def running(self) -> Iterator[World]:
        """Have the virtual clock and the seed in place of those of the machine."""
        dice = random.Random(self.seed + 1)

        def token_hex(size: int = 8) -> str:
            return f"{dice.getrandbits(8 * size):0{2 * size}x}"

        with (
            mock.patch.object(time, "time", self.clock),
            mock.patch.object(secrets, "token_hex", token_hex),
        ):
            yield self

    def store_for(self, agent: SimulatedAgent | None) -> Store:
        """Return the store as one agent, or the client, reaches it."""
        store = Store(Clients.sharing(self.redis), self.keys)
        store.scripts = FlakyScripts(self, agent, self.keys)
        return store

    # The network.

    def apply(self, name: str, keys: Any, args: Any) -> Any:
        script = self._loaded.get(name)
        if script is None:
            text = source(name)
            if name in self.mutations:
                old, new = self.mutations[name]
                assert old in text, f"{name} has changed: {old!r} isn't in it"
                text = text.replace(old, new)
            script = self._loaded[name] = self.redis.register_script(text)
        return script(keys=keys, args=[self.keys.prefix, self.keys.rq, *args])

    def saw(self, who: str, name: str, finishing: Any, args: Any, answer: Any) -> None:
        """Judge what a script answered."""
        if name == "exchange":
            for (job, succeeded), result in zip(finishing, answer[1], strict=True):
                if result == b"accepted" and succeeded:
                    self.ledger.done.add(self.place_of[job])
                if result == b"accepted" and self.redis.zscore(self.keys.agents, who) is None:
                    raise WrongError(f"seed {self.seed}: {job} accepted from {who}, which is gone")
            for row in answer[2][0]:
                job, place, generation, task = (each.decode() for each in row[:4])
                self.place_of[job] = (place, int(generation), task)
            self.ledger.saw_exchange(finishing, answer)
            told = [(row[3].decode(), int(row[6])) for row in answer[2][0]]
            self.note(f"{who.partition('-')[0]} {answer[1]} {told}")
        if name == "sweep":
            for lost in (each.decode() for each in answer[0]):
                self.note(f"swept {lost}")
                for agent in self.agents:
                    if agent.id == lost and self.now - agent.renewed_at < 0.6 * LEASE_MS / 1000:
                        raise WrongError(f"seed {self.seed}: {lost} was swept, and had renewed")

    def must_reach(self, agent: SimulatedAgent | None) -> None:
        """Raise Lost while Redis, or this agent, is cut off."""
        if self.now < self.away_until or (agent is not None and self.now < agent.cut_until):
            raise Lost("away")

    def network_fault(self) -> str:
        """Return what happens to this call, mostly nothing."""
        if self.is_calm or not self._due or self._due[0] not in KINDS[:4]:
            return ""
        fault = self._due.pop(0)
        self.count(fault)
        return fault

    # Time.

    def clock(self) -> float:
        """Return the time by Redis's clock, in Unix seconds."""
        return BEGINNING + self.now + self.offset

    def birth(self) -> int:
        """Return a number that was never given."""
        return next(self._births)

    def note(self, words: str) -> None:
        self.trace.append(f"{self.now:.3f} {words}")

    def count(self, fault: str) -> None:
        self.faults[fault] += 1
        self.note(f"fault: {fault}")

    def parse(self, text: bytes) -> Any:
        return json.loads(text)

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + delay_s, next(self._order), act))

    def run_until(self, end: float) -> None:
        """Let everything happen until then."""
        while self._heap and self._heap[0][0] <= end:
            self.now, _, act = heapq.heappop(self._heap)
            # What a network may do is what callers are made for; all else is a violation.
            with contextlib.suppress(Lost):
                act()
        self.now = end

    # What happens by itself.

    def begin(self, agents: int = 3) -> None:
        """Start the agents, the faults and the submissions."""
        for number in range(agents):
            self.add_agent(f"w{number}")
        self.later(1.0, self.strike)
        self.later(0.5, self.ask)

    def add_agent(self, name: str) -> None:
        agent = SimulatedAgent(self, name)
        self.agents.append(agent)

        def turn() -> None:
            if agent.is_alive:
                self.later(TICK_S * self.random.uniform(0.8, 1.2), turn)
                agent.turn()

        self.later(self.random.uniform(0.0, 1.0), turn)

    def ask(self) -> None:
        """Submit a tree, mostly one of tasks, at times a new generation of what is served."""
        self.later(self.random.uniform(10.0, 30.0), self.ask)
        if self.is_calm:
            return
        if not self.submitted or self.random.random() < 0.1:
            self.submit("live")
        else:
            self.submit(f"tasks{self.random.randrange(5)}")

    def submit(self, name: str) -> None:
        if name not in self._plans:
            self._plans[name] = plan_of(trained(name))
        plan, number = self._plans[name], None
        order = Order(makes_current=True, kinds=("train", "deploy"), retries=1, history_s=600.0)
        id_, mine = f"s{self.birth()}", set[tuple[str, int]]()
        for _ in range(100):
            # As a client does: again, until it knows.
            with contextlib.suppress(Lost):
                number = self.store.reserve(name, id_)
                if (name, number) not in mine:
                    # A number is given again when all that was known of its name has expired.
                    self.ledger.begin(name, number, plan)
                    mine.add((name, number))
                writer = Writer(keys=self.keys, signer=self.signer)
                self.store.create(
                    writer.build(plan, b"tree", order, submission_id=id_, generation=number)
                )
                self.submitted.add((name, number))
                return

    def services(self, claim: Any) -> set[str]:
        return {service.path for service in self._plans[claim.name].services}

    def strike(self) -> None:
        """Let the next fault come due."""
        self.later(self.random.expovariate(1 / self.fault_every_s), self.strike)
        if self.is_calm:
            return
        kind = self.random.choice(KINDS)
        agent = self.random.choice(self.agents)
        length = self.random.choice([0.5, 5.0, 12.0, 40.0])
        if kind in KINDS[:4]:
            self._due.append(kind)
            return
        self.count(kind)
        if kind == "crash":
            agent.is_alive = False
            self.agents.remove(agent)
            self.add_agent(agent.name)
        elif kind == "stall":
            agent.stalled_until = self.now + length
        elif kind == "partition":
            agent.cut_until = self.now + length
        elif kind == "outage":
            self.away_until = self.now + length
        else:
            self.offset += self.random.choice([-30.0, -2.0, -0.3, 0.3, 2.0, 15.0, 90.0])

    # The judge.

    def live(self, seconds: float) -> None:
        """Let `seconds` go by in episodes, and judge after each."""
        end = self.now + seconds
        while self.now < end:
            self.is_calm = False
            self.run_until(self.now + EPISODE_S)
            self.is_calm, self._due = True, []
            self.run_until(self.now + QUIET_S)
            self.judge()

    def judge(self) -> None:
        """Raise WrongError unless all is as it was asked for."""
        wrong = []
        for name, number in sorted(self.submitted):
            record = self.store.generation(name, number)
            is_current = record is not None and self.store.deployment(name).current == number
            state = "gone" if record is None else str(record.state)
            if state not in {"gone", "ready", "failed", "cancelled", "stopped"}:
                wrong.append(f"{name}@{number} is {state}: {self.states(name, number)}")
            if record is not None and name == "live" and state == "ready":
                ready = {path: record.ready.get(path, 0) for path in record.services}
                if is_current and ready != dict(record.services):
                    wrong.append(f"{name}@{number} has {ready} of {record.services}")
        listed = {
            (replica.agent_id, replica.replica)
            for name, number in self.store.active()
            for replica, _ in self.store.replicas(name, number)
        }
        running = {(agent.id, replica) for agent in self.agents for replica in agent.replicas}
        if listed != running:
            wrong.append(f"listed only: {listed - running}; running only: {running - listed}")
        known = {each.decode() for each in self.redis.zrange(self.keys.agents, 0, -1)}
        if known != {agent.id for agent in self.agents}:
            wrong.append(f"agents {known} aren't {[agent.id for agent in self.agents]}")
        if wrong:
            raise WrongError(f"seed {self.seed}, at {self.now:.0f} s: {wrong}")

    def states(self, name: str, number: int) -> dict[str, str]:
        return {task.id: str(task.state) for task in self.store.tasks(name, number)}


def main() -> None:
    """Simulate some hours: `python -m tests.properties.simulation HOURS SEED`."""
    hours, seed = float(sys.argv[1]), int(sys.argv[2])
    began = time.monotonic()
    world = World(seed)
    with world.running():
        world.begin()
        world.live(hours * 3600)
    print(
        f"{world.now / 3600:.1f} h in {time.monotonic() - began:.0f} s, seed {seed}: "
        f"{sum(world.faults.values())} faults {dict(world.faults)}, "
        f"{len(world.submitted)} deployments, {len(world.trace)} events, no violation"
    )


if __name__ == "__main__":
    main()
