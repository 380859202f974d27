"""What lies between the simulated processes and Redis: faults, and calls that they befall.

Faults come due at random, more of those of single calls than of whole processes. A fault of a call
waits for the next call that is made. All chance is the world's, so it comes from its seed.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from rootward.orchestrator.store.scripts import ScriptRunner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootward.orchestrator.store.keys import Keys
    from tests.properties.simulated_agent import SimulatedAgent
    from tests.properties.simulation import World

OF_CALLS = ("lose request", "lose answer", "double", "late")
WEIGHTS = {
    **dict.fromkeys(OF_CALLS, 4),
    "crash": 2,
    "stall": 2,
    "partition": 2,
    "drain": 1,
    "host": 1,
    "outage": 1,
    "jump": 1,
    "empty": 0.5,
}
LENGTHS_S = (0.5, 2.0, 5.0, 12.0, 40.0)
DELAYS_S = (0.02, 0.2, 2.0, 6.0, 20.0)
JUMPS_S = (-30.0, -2.0, -0.3, 0.3, 2.0, 15.0, 90.0)


class Lost(ConnectionError):
    """A call that failed; whether it was applied is not known to the caller."""

    def __init__(self, why: str, back_at: float = 0.0) -> None:
        super().__init__(why)
        self.back_at = back_at


class Network:
    """Strikes a world with faults, one each `every_s` seconds on average, unless it is calm.

    `weights` are the kinds, and how often each is meant beside the others.
    """

    def __init__(self, world: World, every_s: float, weights: Mapping[str, float]) -> None:
        self._world, self._every_s, self._weights = world, every_s, weights
        self.faults: Counter[str] = Counter()
        self.away_until, self.is_calm = 0.0, False
        self._due: list[str] = []

    def begin(self) -> None:
        """Strike for the first time in a while."""
        self._world.later(self._world.random.expovariate(1 / self._every_s), self._strike)

    def calm(self) -> None:
        """Strike no more; forget what has not befallen a call yet."""
        self.is_calm, self._due = True, []

    def fault_of_call(self) -> str:
        """Return what happens to this call, mostly nothing."""
        if self.is_calm or not self._due:
            return ""
        fault = self._due.pop(0)
        self._count(fault)
        return fault

    def must_reach(self, agent: SimulatedAgent | None) -> None:
        """Raise Lost while Redis, or this agent, is cut off."""
        until = max(self.away_until, 0.0 if agent is None else agent.cut_until)
        if self._world.now < until:
            raise Lost("away", until)

    def _strike(self) -> None:
        self.begin()
        if self.is_calm:
            return
        random = self._world.random
        (kind,) = random.choices(list(self._weights), list(self._weights.values()))
        agent, length = random.choice(self._world.agents), random.choice(LENGTHS_S)
        if kind in OF_CALLS:
            self._due.append(kind)
            return
        self._count(kind)
        match kind:
            case "crash":
                self._world.replace(agent)
            case "stall":
                agent.stalled_until = self._world.now + length
            case "partition":
                agent.cut_until = self._world.now + length
            case "host":
                # Two workers are on it, and nobody reaches either.
                for each in random.sample(self._world.agents, min(2, len(self._world.agents))):
                    each.cut_until = self._world.now + length
            case "drain":
                agent.drain()
            case "outage":
                self.away_until = self._world.now + length
            case "jump":
                self._world.offset += random.choice(JUMPS_S)
            case "empty":
                self._world.empty()

    def _count(self, fault: str) -> None:
        self.faults[fault] += 1
        self._world.note(f"fault: {fault}")


class FlakyScripts(ScriptRunner):
    """The scripts of one agent, or of the client, behind the network."""

    def __init__(self, world: World, agent: SimulatedAgent | None, keys: Keys) -> None:
        super().__init__(world.redis, keys)
        self._world, self._agent = world, agent

    def run(self, name: str, keys: Any, args: Any, *, client: Any = None) -> Any:
        """Run a script as the network lets it."""
        world, agent = self._world, self._agent
        finishing = () if agent is None else tuple(agent.sending)
        who = "client" if agent is None else agent.id

        def apply() -> Any:
            answer = world.apply(name, keys, args)
            world.saw(who, name, finishing, args, answer)
            return answer

        world.network.must_reach(agent)
        match world.network.fault_of_call():
            case "lose request":
                raise Lost(name)
            case "lose answer":
                apply()
                raise Lost(name)
            case "double":
                apply()
            case "late":
                world.later(world.random.choice(DELAYS_S), lambda: _applied_late(apply))
                if world.random.random() < 0.5:
                    # It was thought lost, and was only on its way.
                    raise Lost(name)
        return apply()


def _applied_late(apply: Any) -> None:
    try:
        apply()
    except ResponseError as refusal:
        # Nobody reads the answer any more; only what came too late is refused at all.
        if not str(refusal).startswith("INCOMPLETE"):
            raise
