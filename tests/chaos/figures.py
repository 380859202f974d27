"""The figures of docs/reliability.md, each by command: `python -m tests.chaos.figures NAME COUNT`.

Times are those of a caller outside: a registry mirror as the gateway has it, the process table, the
answers themselves. `python -m tests.chaos.figures` lists the names.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from orchestrator.embedded import EmbeddedServer
from orchestrator.queue import plain_queue
from orchestrator.records import AgentInfo, Finish, ReplicaRecord
from orchestrator.states import ReplicaState, TaskState
from tests.chaos.town import Town
from tests.chaos.witness import ownerless
from tests.support.scenes import Scene
from tests.support.waiting import wait_until

PAUSE = threading.Event()

TREES = """
import os, subprocess, sys, time
from modules import ModuleBase, ServerModule

class Pid(ModuleBase):
    def forward(self, x):
        return [x, os.getpid()]

class Family(Pid):
    def setup(self):
        code = "import time; time.sleep(600)"
        self.kin = [subprocess.Popen([sys.executable, '-c', code], start_new_session=bool(i))
                    for i in range(2)]
        os.kill(self.kin[0].pid, 19)

served = ServerModule(Pid(), name='one', replicas=2)
family = ServerModule(Family(), name='family')
"""


@contextmanager
def town(workers: int, lease_s: float = 3.0) -> Iterator[Town]:
    """Yield a town with that many workers, which have joined."""
    folder = Path(tempfile.mkdtemp(prefix="rw-figures-"))
    (folder / "trees.py").write_text(TREES)
    with Town(folder, uuid.uuid4().hex, lease_s=lease_s) as place:
        place.keep_workers(workers)
        joined(place, workers)
        yield place


def joined(place: Town, workers: int) -> None:
    wait_until(
        lambda: len(place.client.store.agents()) == workers,
        description="the workers have joined", timeout=40,
    )  # fmt: skip


def table(place: Town) -> list[list[str]]:
    """Return the endpoints of `one` as a mirror of the registry has them."""
    return place.client.registry.table("one").get("one", [])


def ready(place: Town, count: int = 2) -> list[ReplicaRecord]:
    """Wait until so many replicas are ready, also in the mirror."""
    number = place.client.store.deployment("one").current

    def found() -> list[ReplicaRecord] | None:
        records = [r for r, _ in place.client.store.replicas("one", number) if r.state == "ready"]
        is_whole = len(records) == count == len(table(place))
        return records if is_whole else None

    return wait_until(found, description="all replicas are ready", timeout=60)


def tell(what: str, times: list[float]) -> None:
    """Print the median, the 99th of a hundred and the longest of the times (seconds)."""
    times = sorted(times)
    p99 = times[min(len(times) - 1, round(0.99 * len(times)) - 1)]
    middle = times[len(times) // 2]
    print(
        f"{what}: n={len(times)} p50={middle:.4f} p99={p99:.4f} max={times[-1]:.4f} s", flush=True
    )


def dead_replica(count: int) -> None:
    """kill -9 of a replica until it has left the mirror of the registry."""
    times = []
    with town(1) as place:
        place.client.submit(f"{place.folder}/trees.py:served", name="one").wait(60)
        for _ in range(count):
            victim = ready(place)[0]
            began = time.perf_counter()
            os.kill(victim.pid, signal.SIGKILL)
            while any(token == victim.token for _, token, _ in table(place)):
                PAUSE.wait(0.0005)
            times.append(time.perf_counter() - began)
    tell("a dead replica has left the registry", times)


def dead_worker(count: int) -> None:
    """kill -9 of a worker until its endpoints are gone, and until others serve (lease 3 s)."""
    gone, back = [], []
    with town(2) as place:
        place.client.submit(f"{place.folder}/trees.py:served", name="one").wait(60)
        for _ in range(count):
            victim = ready(place)[0]
            worker = next(w for w in place.workers if w.command[-1] == victim.worker)
            theirs = {r.token for r in ready(place) if r.worker == victim.worker}
            began = time.perf_counter()
            worker.process.kill()
            while any(token in theirs for _, token, _ in table(place)):
                PAUSE.wait(0.002)
            gone.append(time.perf_counter() - began)
            while len(table(place)) < 2:
                PAUSE.wait(0.002)
            back.append(time.perf_counter() - began)
            worker.process.wait()
            place.keep_workers(2)
            joined(place, 2)
    tell("a dead worker's endpoints are gone", gone)
    tell("its replicas are ready elsewhere", back)


def processes_left(count: int) -> None:
    """Processes left 3 s after kill -9 of a worker, grandchildren and stopped ones too."""
    left = 0
    with town(1) as place:
        place.client.submit(f"{place.folder}/trees.py:family", name="family").wait(60)
        for _ in range(count):
            worker = place.workers[0]

            def whole(worker: Any = worker) -> bool:
                return sum("time.sleep" in " ".join(p.cmdline()) for p in place.below(worker)) >= 2

            wait_until(whole, description="the family is whole", timeout=60)
            worker.process.kill()
            worker.process.wait()
            PAUSE.wait(3.0)
            left += len(ownerless(place.mark, {os.getpid()}))
            place.keep_workers(1)
    print(f"processes left 3 s after kill -9 of a worker: {left} (n={count})", flush=True)


def redis_restart(count: int) -> None:
    """A restart of Redis with `count` endpoints: until all leases are renewed; after 60 s away."""
    folder = Path(tempfile.mkdtemp(prefix="rw-figures-"))
    with Town(folder, uuid.uuid4().hex, lease_s=10.0) as place:
        store = place.client.store
        agents = [f"a{number}-1" for number in range(10)]
        scene = Scene(store, agent=agents[0])
        for agent in agents:
            scene.join(agent, 10_000)
        scene.submit({"deploy:a": []}, services={"a": count})
        for number in range(count):
            record = ReplicaRecord(
                replica=f"r{number}", name="demo", generation=1, path="a",
                agent_id=agents[number % 10], worker="w", state=ReplicaState.READY,
                url="http://127.0.0.1:1", token="t",
            )  # fmt: skip
            assert store.put_replica(record.agent_id, record)
        for away in (0.0, 60.0):
            os.kill(place.redis_pid(), signal.SIGKILL)
            PAUSE.wait(away)
            place.restart_redis()
            began = time.perf_counter()
            lost = store.sweep(10_000).lost_agents
            kept = [agent for agent in agents if store.renew(agent, 10_000).known]
            took = time.perf_counter() - began
            endpoints = len(store.replicas("demo", 1))
            print(
                f"Redis back after {away:g} s: {len(kept)} of 10 workers renewed in {took:.2f} s, "
                f"{endpoints} of {count} endpoints kept, swept: {lost}",
                flush=True,
            )


def lost_submits(count: int) -> None:
    """Submits that were acknowledged and are gone after kills of Redis; 10 between two kills."""
    folder = Path(tempfile.mkdtemp(prefix="rw-figures-"))
    with Town(folder, uuid.uuid4().hex, lease_s=10.0) as place:
        scene = Scene(place.client.store)
        known, lost = [], 0
        for kill in range(count):
            for number in range(10):
                name = f"n{kill}-{number}"
                scene.submit({"train:a": [], "train:b": ["train:a"]}, name=name)
                known.append(name)
            os.kill(place.redis_pid(), signal.SIGKILL)
            place.restart_redis()
            lost += sum(place.client.store.generation(name, 1) is None for name in known[-10:])
        lost_later = sum(place.client.store.generation(name, 1) is None for name in known)
        print(f"acknowledged submits lost: {max(lost, lost_later)} of {len(known)} "
              f"over {count} kills of Redis", flush=True)  # fmt: skip


def stale_writes(count: int) -> None:
    """Writes of an agent whose lease is over: finishes, replicas, renewals, output."""
    accepted = 0
    with EmbeddedServer() as server:
        import orchestrator

        with orchestrator.connect(server.url, secret="x" * 40, prefix="stale") as client:
            store = client.store
            scene = Scene(store)
            for number in range(count):
                name, agent = f"n{number}", scene.join(f"stale-{number}")
                scene.submit({"train:a": []}, name=name, services={"a": 1})
                claim = scene.claim(agent=agent)
                store.clients.scripts.zadd(store.keys.agents, {agent: 1})
                store.clients.scripts.hdel(store.keys.sweep, "swept")
                assert agent in store.sweep(60_000).lost_agents
                finish = Finish(job_id=claim.job_id, token=claim.token, state=TaskState.SUCCEEDED)
                answer = store.exchange(
                    agent, finishes=[finish], queues=[plain_queue("stale")], limit=3
                )
                record = ReplicaRecord(
                    replica=f"r{number}", name=name, generation=1, path="a", agent_id=agent,
                    worker="w", state=ReplicaState.READY, url="http://127.0.0.1:1", token="t",
                )  # fmt: skip
                accepted += answer.results[0] == "accepted"
                accepted += len(answer.claims)
                accepted += store.put_replica(agent, record)
                accepted += store.renew(agent, 60_000).known
                accepted += store.log(claim.job_id, claim.token, 1, [(1, "late")])
                accepted += store.join(AgentInfo(id=agent, worker="w"), 60_000).known
                scene.succeed(scene.claim())
    print(f"writes of stale owners accepted: {accepted} of {6 * count}", flush=True)


def stale_answers(count: int) -> None:
    """Answers that a replica gives after it was frozen, with its worker, past its lease."""
    import http.client

    given = asked = 0
    with town(1, lease_s=1.0) as place:
        place.client.submit(f"{place.folder}/trees.py:served", name="one").wait(60)
        seen: set[str] = set()
        for _ in range(count):

            def fresh() -> list[ReplicaRecord] | None:
                found = ready(place)
                return found if seen.isdisjoint(r.token for r in found) else None

            victims = wait_until(fresh, description="others serve", timeout=40)
            seen.update(victim.token for victim in victims)
            family = [psutil.Process(place.workers[0].process.pid), *place.below(place.workers[0])]
            for process in family:
                process.send_signal(signal.SIGSTOP)
            waiting = []
            for victim in victims:
                for _ in range(5):
                    host = victim.url.removeprefix("http://")
                    call = http.client.HTTPConnection(host, timeout=5)
                    body = b'{"args": [1]}'
                    call.request("POST", "/call", body, {"content-type": "application/json"})
                    waiting.append(call)
            PAUSE.wait(3.6)
            for process in reversed(family):
                if process.is_running():
                    process.send_signal(signal.SIGCONT)
            for call in waiting:
                asked += 1
                try:
                    given += call.getresponse().status == 200
                except OSError:
                    continue
                except http.client.HTTPException:
                    continue
                finally:
                    call.close()
    print(f"answers of frozen owners after their thaw: {given} of {asked}", flush=True)


def keys_and_memory(count: int) -> None:
    """Keys and memory before and after deployments that have come and gone."""
    with EmbeddedServer() as server:
        import orchestrator

        with orchestrator.connect(server.url, secret="x" * 40, prefix="keys") as client:
            scene, redis = Scene(client.store), client.store.clients.scripts

            def come_and_go(name: str) -> None:
                scene.submit({"train:a": [], "deploy:a": ["train:a"]}, name=name, services={"a": 1},
                             history_s=60)  # fmt: skip
                scene.succeed(scene.claim())
                scene.put("a", name=name, replica=f"r-{name}")
                scene.succeed(scene.claim())
                client.store.stop(name)
                client.store.drop_replica(name, 1, f"r-{name}")

            def expire() -> tuple[int, int]:
                for key in redis.scan_iter(count=1000):
                    if redis.ttl(key) > 0:
                        redis.delete(key)
                redis.hdel(client.store.keys.sweep, "swept", "tidied")
                client.store.sweep(60_000)
                redis.execute_command("MEMORY", "PURGE")
                keys = client.store.keys
                # Streams of a bounded length, which fill up once and stay as they are.
                bounded = sum(
                    redis.memory_usage(key, samples=0) or 0 for key in (keys.changes, keys.bell)
                )
                return redis.dbsize(), redis.info("memory")["used_memory"] - bounded

            for number in range(50):
                come_and_go(f"warm{number}")
            before = expire()
            for number in range(count):
                come_and_go(f"d{number}")
            after = expire()
    print(f"keys and bytes before and after {count} deployments: {before}, {after}", flush=True)


def calls_under_load(count: int) -> None:
    """Failed calls while workers drain, and while new generations take over."""
    calls = failed = 0
    ending = threading.Event()
    with town(2) as place:
        target = f"{place.folder}/trees.py:served"
        place.client.submit(target, name="one").wait(60)

        def call() -> None:
            nonlocal calls, failed
            while not ending.is_set():
                calls += 1
                try:
                    place.client.gateway.call("one", calls)
                except Exception as error:
                    failed += 1
                    print(f"failed: {error!r}", flush=True)

        threads = [threading.Thread(target=call) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(count):
            if number % 2:
                place.client.submit(target, name="one").wait(60)
            else:
                place.workers[0].stop(signal.SIGTERM)
                place.keep_workers(2)
                joined(place, 2)
            ready(place)
        ending.set()
        for thread in threads:
            thread.join()
    print(f"failed calls over {count} drains and generations: {failed} of {calls}", flush=True)


FIGURES: dict[str, Callable[[int], None]] = {
    each.__name__: each
    for each in (dead_replica, dead_worker, processes_left, redis_restart, lost_submits,
                 stale_writes, stale_answers, keys_and_memory, calls_under_load)
}  # fmt: skip

if __name__ == "__main__":
    if len(sys.argv) != 3:
        print("\n".join(f"{name}: {each.__doc__}" for name, each in FIGURES.items()))
    else:
        FIGURES[sys.argv[1]](int(sys.argv[2]))
