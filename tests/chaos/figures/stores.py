"""What a restart of Redis costs, and what is left in it by what has come and gone."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time

from rootward import orchestrator
from rootward.orchestrator.embedded.server import EmbeddedServer
from rootward.orchestrator.states import ReplicaState
from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.keys import Keys
from rootward.orchestrator.store.records import ReplicaRecord
from rootward.orchestrator.store.store import Store
from rootward.worker.agent.heartbeat import Heartbeat, LeaseState
from tests.chaos.figures.measured import Measured, none_of
from tests.chaos.figures.places import PAUSE, new_town
from tests.support.scenes import Scene
from tests.support.waiting import wait_until

AGENTS = 10
LEASE_S = 10.0
LEASE_MS = 10_000
# Longer than the pause between two renewals, so that every worker takes notice.
AWAY_S = 4.0
LONG_AWAY_S = 60.0
RENEWED_S = 2.0
AT_ONCE = 10


class Renewals:
    """The leases of some workers, renewed as workers do, over connections of their own."""

    def __init__(self, url: str, prefix: str, agents: list[str]) -> None:
        self.lost: list[str] = []
        self._clients = [Clients(url, name=agent) for agent in agents]
        self._keepers = [
            Heartbeat(Store(clients, Keys(prefix=prefix)), agent, LEASE_S, self._hear)
            for clients, agent in zip(self._clients, agents, strict=True)
        ]
        for keeper in self._keepers:
            keeper.start()

    def _hear(self, standing: LeaseState, agent: str) -> None:
        if standing in {LeaseState.FENCED, LeaseState.EMPTIED}:
            self.lost.append(agent)

    def await_all(self, since: float) -> None:
        """Return when each lease was renewed since then, or one can't be any more."""

        def renewed() -> bool:
            oldest = min(keeper.lease_left_s for keeper in self._keepers)
            return bool(self.lost) or oldest > max(0.0, LEASE_S - (time.monotonic() - since))

        wait_until(renewed, description="all leases are renewed", timeout=60)

    def close(self) -> None:
        """Stop renewing."""
        for keeper in self._keepers:
            keeper.stop()
        for clients in self._clients:
            clients.close()


def redis_restart(count: int) -> list[Measured]:
    """A restart of Redis with `count` endpoints: until all leases are renewed; after 60 s away."""
    measured = []
    with new_town(LEASE_S) as place, contextlib.ExitStack() as stack:
        store = place.client.store
        agents = [f"a{number}-1" for number in range(AGENTS)]
        scene = Scene(store, agent=agents[0])
        for agent in agents:
            scene.join(agent, LEASE_MS)
        scene.submit({"deploy:a": []}, services={"a": count})
        for number in range(count):
            record = ReplicaRecord(
                replica=f"r{number}", name="demo", generation=1, path="a",
                agent_id=agents[number % AGENTS], worker="w", state=ReplicaState.READY,
                url="http://127.0.0.1:1", token="t",
            )  # fmt: skip
            assert store.registry.put(record.agent_id, record)
        renewals = Renewals(place.redis.url, place.prefix, agents)
        stack.callback(renewals.close)
        for away in (AWAY_S, LONG_AWAY_S):
            os.kill(place.redis_pid(), signal.SIGKILL)
            killed = time.monotonic()
            PAUSE.wait(away)
            place.restart_redis()
            began = time.monotonic()
            # Whoever sweeps first must not judge by the time when nobody could renew.
            gone = store.agents.sweep(LEASE_MS).lost_agents
            renewals.await_all(killed)
            took = time.monotonic() - began
            gone += store.agents.sweep(LEASE_MS).lost_agents
            lost = count - len(store.registry.replicas("demo", 1))
            is_kept = not lost and not gone and not renewals.lost
            measured.append(
                Measured(
                    what=f"Redis is back after {away:g} s, {count} endpoints of {AGENTS} workers",
                    value=f"{took:.2f} s to the last renewal; {lost} endpoints, {gone} lost",
                    goal="2 s, none",
                    is_met=took <= RENEWED_S and is_kept,
                )
            )
    return measured


class Submitter:
    """Submits in a thread of its own, one after the other; `known` were acknowledged."""

    def __init__(self, scene: Scene, prefix: str) -> None:
        self.known: list[str] = []
        self._scene, self._prefix = scene, prefix
        self._acknowledged = threading.Semaphore(0)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._submit)
        self._thread.start()

    def _submit(self) -> None:
        for number in itertools.count():
            name = f"{self._prefix}-{number}"
            self._scene.submit({"train:a": [], "train:b": ["train:a"]}, name=name)
            self.known.append(name)
            self._acknowledged.release()
            if self._ending.is_set():
                return

    def await_some(self, count: int) -> None:
        """Return when so many more were acknowledged; the next is under way."""
        for _ in range(count):
            self._acknowledged.acquire()

    def end(self) -> None:
        """Let the one under way be the last, and wait for it."""
        self._ending.set()
        self._thread.join()


def lost_submits(count: int) -> list[Measured]:
    """Submits that were acknowledged and are gone after kills of Redis, in the midst of them."""
    known: list[str] = []
    with new_town(LEASE_S) as place:
        scene = Scene(place.client.store)
        for kill in range(count):
            submitter = Submitter(scene, f"n{kill}")
            submitter.await_some(AT_ONCE)
            os.kill(place.redis_pid(), signal.SIGKILL)
            place.restart_redis()
            submitter.end()
            known += submitter.known
        lost = sum(place.client.store.deployments.generation(name, 1) is None for name in known)
    return [none_of(f"acknowledged submits lost over {count} kills of Redis", lost, len(known))]


def keys_and_memory(count: int) -> list[Measured]:
    """Keys and memory before and after deployments that have come and gone."""
    with (
        EmbeddedServer() as server,
        orchestrator.connect(server.url, secret="x" * 40, prefix="keys") as client,
    ):
        scene = Scene(client.store)
        for number in range(50):
            come_and_go(scene, f"warm{number}")
        keys, size = settled(client.store)
        for number in range(count):
            come_and_go(scene, f"d{number}")
        keys_later, size_later = settled(client.store)
    return [
        Measured(
            what=f"keys and MB before and after {count} deployments",
            value=f"{keys} and {size / 1e6:.2f}, {keys_later} and {size_later / 1e6:.2f}",
            goal="as before",
            is_met=keys_later == keys and size_later < 1.2 * size,
        )
    ]


def come_and_go(scene: Scene, name: str) -> None:
    """Let a deployment be stored, run, serve, stop and end."""
    scene.submit(
        {"train:a": [], "deploy:a": ["train:a"]}, name=name, services={"a": 1}, history_s=60
    )
    scene.succeed(scene.claim())
    scene.put("a", name=name, replica=f"r-{name}")
    scene.succeed(scene.claim())
    scene.store.deployments.stop(name)
    scene.store.registry.drop(name, 1, f"r-{name}")


def settled(store: Store) -> tuple[int, int]:
    """Let all that may expire expire; return the number of keys and the bytes in use."""
    redis, keys = store.clients.scripts, store.keys
    for key in redis.scan_iter(count=1000):
        if redis.ttl(key) > 0:
            redis.delete(key)
    redis.hdel(keys.sweep, "swept", "tidied")
    store.agents.sweep(60_000)
    redis.execute_command("MEMORY", "PURGE")
    # Streams of a bounded length, which fill up once and stay as they are.
    bounded = sum(redis.memory_usage(key, samples=0) or 0 for key in (keys.changes, keys.bell))
    return redis.dbsize(), redis.info("memory")["used_memory"] - bounded
