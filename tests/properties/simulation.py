"""A simulated network: the real scripts and the real controller under a clock that tests turn.

Agents are small state machines over the real store on fakeredis; a user submits and changes his
mind; between them and Redis stands a network that loses, doubles and delays calls and goes away;
agents crash, stall and drain, and the clock of Redis jumps. Time goes from event to event. All
chance comes from one seed, so a seed is a story. What is right is judged by a `Ledger` of its own,
which sees what the scripts were asked and said.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import itertools
import json
import random
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

from rootward.orchestrator.security.signing import Signer
from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.keys import Keys
from rootward.orchestrator.store.records.tasks import read_claims
from rootward.orchestrator.store.scripts import source
from rootward.orchestrator.store.store import Store
from tests.properties.ledger import MOST_RARE, Ledger, WrongError
from tests.properties.simulated_agent import LEASE_S, SimulatedAgent
from tests.properties.simulated_client import LIVE, SimulatedClient
from tests.properties.simulated_network import WEIGHTS, FlakyScripts, Lost, Network
from tests.support.swift_redis import SwiftRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from redis import Redis

BEGINNING = 1_800_000_000.0
EPISODE_S = 240.0
CALM_S = 150.0
LOOK_S = 10.0
AGENTS = 3
QUIET = frozenset({"renew", "lead", "sweep"})
FINAL = frozenset({"gone", "ready", "failed", "cancelled", "stopped"})


class World:
    """Everything that happens, in order of a virtual time; `mutations` change scripts."""

    def __init__(
        self,
        seed: int,
        *,
        fault_every_s: float = 3.0,
        mutations: Mapping[str, tuple[str, str]] | None = None,
        server: Callable[[Callable[[bytes], None]], Redis] = SwiftRedis,
        weights: Mapping[str, float] = WEIGHTS,
    ) -> None:
        self.seed, self.random = seed, random.Random(seed)
        self.mutations = mutations or {}
        self.now, self.offset, self.written = 0.0, 0.0, 0
        self.redis = server(self._appended)
        self.keys = Keys(prefix="sim")
        self._bell, self._changes = self.keys.bell.encode(), self.keys.changes.encode()
        self.signer = Signer(b"a secret of the simulation, long enough")
        self.ledger = Ledger()
        self.trace: list[str] = []
        self.agents: list[SimulatedAgent] = []
        self.place_of: dict[str, tuple[str, int, str]] = {}
        # What followers of the registry knew when the store lost its data, and how often replicas
        # were brought back.
        self.last_current: int | None = None
        self.restored = 0
        self._loaded: dict[str, Any] = {}
        self._heap: list[tuple[float, int, Callable[[], Any]]] = []
        self._order, self._births = itertools.count(), itertools.count(1)
        self.network = Network(self, fault_every_s, weights)
        self.store = self.store_for(None)
        self.client = SimulatedClient(self)

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
        scripts = FlakyScripts(self, agent, self.keys)
        return Store(Clients.sharing(self.redis), self.keys, scripts=scripts)

    # The server.

    def apply(self, name: str, keys: Any, args: Any) -> Any:
        """Run a script, and wake those who wait for what it wrote."""
        script = self._loaded.get(name)
        if script is None:
            text = source(name)
            if name in self.mutations:
                old, new = self.mutations[name]
                assert old in text, f"{name} has changed: {old!r} isn't in it"
                text = text.replace(old, new)
            script = self._loaded[name] = self.redis.register_script(text)
        if name not in QUIET:
            self.written += 1
        return script(keys=keys, args=[self.keys.prefix, self.keys.rq, *args])

    def empty(self) -> None:
        """Let the server lose all that is in it; the agents find out by what it answers."""
        record = self.store.deployments.get(LIVE)
        self.last_current = None if record is None else record.current
        self.redis.flushall()
        self.ledger.emptied()
        self.written += 1

    def _appended(self, key: bytes) -> None:
        """Wake whom the server would wake: those who wait for an entry of this stream."""
        self.written += 1
        for agent in self.agents:
            if key == self._bell:
                agent.pump.due(delay_s := self.random.uniform(0.001, 0.05))
                agent.rouse(delay_s)
            elif key == self._changes:
                agent.rounds.due(self.random.uniform(0.05, 0.3))
            elif key.startswith(b"sim:agent:") and key == self.keys.inbox(agent.id).encode():
                agent.bell.due(self.random.uniform(0.001, 0.05))

    def saw(self, who: str, name: str, finishing: Any, args: Any, answer: Any) -> None:
        """Judge what a script answered."""
        if name == "exchange":
            self.ledger.saw_request(who, str(args[1]), bool(answer[3]))
            self._saw_exchange(who, finishing, answer)
        if name == "sweep":
            for lost in (each.decode() for each in answer[0]):
                self.note(f"swept {lost}")
                for agent in self.agents:
                    if agent.id == lost and self.now - agent.renewed_at < 0.6 * LEASE_S:
                        raise WrongError(f"seed {self.seed}: {lost} was swept, and had renewed")

    def _saw_exchange(self, who: str, finishing: Any, answer: Any) -> None:
        claims = read_claims(answer[3:])
        for (job, succeeded), result in zip(finishing, answer[1].decode(), strict=True):
            if result == "a" and succeeded:
                self.ledger.done.add(self.place_of[job])
            if result == "a" and self.redis.zscore(self.keys.agents, who) is None:
                raise WrongError(f"seed {self.seed}: {job} accepted from {who}, which is gone")
        for claim in claims:
            self.place_of[claim.job_id] = (claim.name, claim.generation, claim.task)
        self.ledger.saw_exchange(finishing, answer[1].decode(), claims)
        told = [(claim.task, claim.attempt) for claim in claims]
        self.note(f"{who.partition('-')[0]} {answer[1]} {told}")

    # Time.

    def clock(self) -> float:
        """Return the time by Redis's clock, in Unix seconds."""
        return BEGINNING + self.now + self.offset

    def birth(self) -> int:
        """Return a number that was never given."""
        return next(self._births)

    def note(self, words: str) -> None:
        """Add to the trace."""
        self.trace.append(f"{self.now:.3f} {words}")

    def digest(self) -> str:
        """Return what tells one story from another."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()

    def parse(self, text: bytes) -> Any:
        return json.loads(text)

    def later(self, delay_s: float, act: Callable[[], Any]) -> None:
        """Have it happen then."""
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

    def begin(self, agents: int = AGENTS) -> None:
        """Start the agents, the faults and the user."""
        for number in range(agents):
            self.agents.append(SimulatedAgent(self, f"w{number}"))
        self.network.begin()
        self.client.begin()

    def replace(self, agent: SimulatedAgent) -> None:
        """Let an agent be gone, and another of its name begin."""
        agent.is_alive = False
        self.agents.remove(agent)
        self.agents.append(SimulatedAgent(self, agent.name))

    # The judge.

    def live(self, seconds: float) -> None:
        """Let `seconds` go by in episodes, each followed by a calm in which all must come right."""
        end = self.now + seconds
        while self.now < end:
            self.network.is_calm = False
            self.run_until(min(end, self.now + EPISODE_S))
            self.network.calm()
            self._come_right(self.now + CALM_S)

    def _come_right(self, until: float) -> None:
        while wrong := self.wrongs():
            if self.now >= until:
                raise WrongError(f"seed {self.seed}, at {self.now:.0f} s: {wrong}")
            self.run_until(self.now + LOOK_S)

    def wrongs(self) -> list[str]:
        """Say what isn't as it was asked for."""
        wrong = []
        for name, number in sorted(self.client.submitted):
            record = self.store.deployments.generation(name, number)
            is_current = record is not None and self.store.deployments.get(name).current == number
            state = "gone" if record is None else str(record.state)
            if record is not None and record.is_restored and state == "degraded":
                # Of what was brought back nothing more can be started.
                continue
            if state not in FINAL:
                wrong.append(f"{name}@{number} is {state}: {self.states(name, number)}")
            if record is not None and name == LIVE and state == "ready":
                ready = {path: record.ready.get(path, 0) for path in record.services}
                if is_current and ready != dict(record.services):
                    wrong.append(f"{name}@{number} has {ready} of {record.services}")
                awake = {path for path in record.scaling.asleep if record.services[path]}
                if awake:
                    wrong.append(f"{name}@{number}: {awake} sleep, and have {record.services}")
                if max(record.services.values()) > MOST_RARE:
                    wrong.append(f"{name}@{number} has {record.services}")
        listed = {
            (replica.agent_id, replica.replica)
            for name, number in self.store.deployments.active()
            for replica, _ in self.store.registry.replicas(name, number)
        }
        running = {(agent.id, replica) for agent in self.agents for replica in agent.replicas}
        if listed != running:
            wrong.append(f"listed only: {listed - running}; running only: {running - listed}")
        record = self.store.deployments.get(LIVE)
        for number in () if record is None else record.warm:
            warm = self.store.deployments.generation(LIVE, number)
            if number == record.current or warm is None or str(warm.state) != "ready":
                wrong.append(f"{LIVE}@{number} is said to be warm, and isn't")
        known = {each.decode() for each in self.redis.zrange(self.keys.agents, 0, -1)}
        if known != {agent.id for agent in self.agents}:
            wrong.append(f"agents {known} aren't {[agent.id for agent in self.agents]}")
        return wrong

    def states(self, name: str, number: int) -> dict[str, str]:
        """Return the states of a generation's tasks."""
        return {task.id: str(task.state) for task in self.store.tasks.of(name, number)}


def main() -> None:
    """Simulate some hours: `python -m tests.properties.simulation HOURS SEED`."""
    hours, seed = float(sys.argv[1]), int(sys.argv[2])
    began = time.process_time()
    world = World(seed)
    with world.running():
        world.begin()
        world.live(hours * 3600)
    print(
        f"{world.now / 3600:.1f} h in {time.process_time() - began:.0f} s, seed {seed}: "
        f"{sum(world.network.faults.values())} faults {dict(world.network.faults)}, "
        f"{len(world.client.submitted)} deployments, {len(world.trace)} events, no violation; "
        f"trace {world.digest()[:16]}"
    )


if __name__ == "__main__":
    main()
