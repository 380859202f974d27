"""What an owner still does whose time is over: its writes, and the answers of its replicas."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from itertools import count as numbers
from typing import TYPE_CHECKING

import psutil

from rootward import orchestrator
from rootward.orchestrator.embedded.server import EmbeddedServer
from rootward.orchestrator.states import ReplicaState, TaskState
from rootward.orchestrator.store.records import AgentInfo, Finish, ReplicaRecord
from rootward.orchestrator.store.rq_compat import plain_queue
from tests.chaos.figures.measured import Measured, none_of
from tests.chaos.figures.places import PAUSE, joined, new_town, ready, serve, town
from tests.support.scenes import Scene
from tests.support.tap import Tap
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.chaos.town import Town
    from tests.support.programs import Program

WRITES = 6


def stale_writes(count: int) -> list[Measured]:
    """Writes of an agent whose lease is over: finishes, replicas, renewals, output."""
    accepted = rounds = 0
    with (
        EmbeddedServer() as server,
        orchestrator.connect(server.url, secret="x" * 40, prefix="stale") as client,
    ):
        store = client.store
        scene = Scene(store)
        for number in range(-(-count // WRITES)):
            name, agent = f"n{number}", scene.join(f"stale-{number}")
            scene.submit({"train:a": []}, name=name, services={"a": 1})
            claim = scene.claim(agent=agent)
            store.clients.scripts.zadd(store.keys.agents, {agent: 1})
            store.clients.scripts.hdel(store.keys.sweep, "swept")
            assert agent in store.agents.sweep(60_000).lost_agents
            finish = Finish(job_id=claim.job_id, token=claim.token, state=TaskState.SUCCEEDED)
            answer = store.tasks.exchange(
                agent, finishes=[finish], queues=[plain_queue("stale")], limit=3
            )
            record = ReplicaRecord(
                replica=f"r{number}", name=name, generation=1, path="a", agent_id=agent,
                worker="w", state=ReplicaState.READY, url="http://127.0.0.1:1", token="t",
            )  # fmt: skip
            accepted += answer.results[0] == "accepted"
            accepted += len(answer.claims)
            accepted += store.registry.put(agent, record)
            accepted += store.agents.renew(agent, 60_000).known
            accepted += store.tasks.log(claim.job_id, claim.token, 1, [(1, "late")])
            accepted += store.agents.join(AgentInfo(id=agent, worker="w"), 60_000).known
            scene.succeed(scene.claim())
            rounds += 1
    return [none_of("writes of stale owners accepted", accepted, WRITES * rounds)]


class Asker:
    """Asks one replica directly, whatever the registry says, and knows its answers from others'."""

    def __init__(self, replica: ReplicaRecord) -> None:
        self.host = replica.url.removeprefix("http://")
        self.pid = replica.pid
        self._numbers = numbers()

    def send(self, pause: float = 0.0) -> http.client.HTTPConnection | None:
        """Send a call that takes `pause` seconds; None when nobody takes it."""
        call = http.client.HTTPConnection(self.host, timeout=15)
        body = json.dumps({"args": [next(self._numbers), pause]})
        try:
            call.request("POST", "/call", body, {"content-type": "application/json"})
        except OSError:
            call.close()
            return None
        return call

    def is_answered(self, call: http.client.HTTPConnection | None) -> bool:
        """Whether this very process gives a result."""
        if call is None:
            return False
        try:
            answer = call.getresponse()
            body = answer.read()
            return answer.status == 200 and json.loads(body)["result"][1] == self.pid
        except (OSError, http.client.HTTPException):
            return False
        finally:
            call.close()


def stale_answers(count: int) -> list[Measured]:
    """Answers that a replica gives after it was frozen, with its worker, past its lease."""
    given = asked = 0
    with town(1, lease_s=1.0) as place:
        serve(place, "served")
        seen: set[str] = set()
        while asked < count:

            def fresh() -> list[ReplicaRecord]:
                found = ready(place)
                return found if seen.isdisjoint(r.token for r in found) else []

            victims = wait_until(fresh, description="others serve", timeout=60)
            seen.update(victim.token for victim in victims)
            askers = [Asker(victim) for victim in victims]
            assert all(asker.is_answered(asker.send()) for asker in askers), "it answers before"
            family = [psutil.Process(place.workers[0].process.pid), *place.below(place.workers[0])]
            for process in family:
                process.send_signal(signal.SIGSTOP)
            waiting = [(asker, asker.send()) for asker in askers for _ in range(25)]
            # A lease, and never less than 3 s.
            PAUSE.wait(3.5)
            for process in reversed(family):
                if process.is_running():
                    process.send_signal(signal.SIGCONT)
            waiting += [(asker, asker.send()) for asker in askers for _ in range(5)]
            asked += len(waiting)
            given += sum(asker.is_answered(call) for asker, call in waiting)
    return [none_of("answers of frozen owners after their thaw", given, asked)]


def cut_off(place: Town, worker: Program, tap: Tap, replica: int) -> Callable[[], None]:
    """Let the worker lose Redis, and nothing else."""
    tap.close()

    def mend() -> None:
        tap.is_open = True

    return mend


def freeze(place: Town, worker: Program, tap: Tap, replica: int) -> Callable[[], None]:
    """Stop the worker itself; what it has started goes on."""
    worker.process.send_signal(signal.SIGSTOP)
    return lambda: worker.process.send_signal(signal.SIGCONT)


def cut_off_from_all(place: Town, worker: Program, tap: Tap, replica: int) -> Callable[[], None]:
    """Take the whole machine away; the replica comes back first, before it can hear of anything."""
    tap.close()
    family = [worker.process.pid, *(process.pid for process in place.below(worker))]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    thaw = threading.Timer(1.2 * place.lease_s, os.kill, (replica, signal.SIGCONT))
    thaw.start()

    def mend() -> None:
        thaw.join()
        for pid in family:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue
        tap.is_open = True

    return mend


PARTITIONS = (cut_off, freeze, cut_off_from_all)
ASKS = 50


def partitioned_answers(count: int) -> list[Measured]:
    """Answers of an `exclusive` replica after the lease of its worker, which can't be renewed."""
    given = asked = 0
    with new_town(lease_s=2.0) as place:
        taps = [Tap(place.redis.url) for _ in range(2)]
        try:
            workers = [place.add_worker(redis_url=tap.url) for tap in taps]
            joined(place, 2)
            serve(place, "sole")
            for number in numbers():
                [victim] = ready(place, 1)
                index = next(i for i, w in enumerate(workers) if w.command[-1] == victim.worker)
                asker = Asker(victim)
                assert asker.is_answered(asker.send()), "it answers before"
                # Begun in time, and answered when it is over.
                early = [asker.send(pause=1.2 * place.lease_s) for _ in range(ASKS // 5)]
                partition = PARTITIONS[number % len(PARTITIONS)]
                mend = partition(place, workers[index], taps[index], victim.pid)
                PAUSE.wait(until_over(place, victim.agent_id))
                late = []
                for _ in range(ASKS - len(early)):
                    late.append(asker.send())
                    PAUSE.wait(place.lease_s / ASKS)
                asked += ASKS
                given += sum(asker.is_answered(call) for call in [*early, *late])
                wait_until(
                    lambda token=victim.token: ready(place, 1)[0].token != token,
                    description="another serves", timeout=60,
                )  # fmt: skip
                mend()
                joined(place, 2)
                if asked >= count:
                    break
        finally:
            for tap in taps:
                tap.is_open = True
            for worker in place.workers:
                worker.process.send_signal(signal.SIGCONT)
                worker.stop()
            for tap in taps:
                tap.end()
    return [none_of("answers of exclusive owners after their lease", given, asked)]


def until_over(place: Town, agent: str) -> float:
    """Return in how many seconds the lease of an agent ends that can't renew it any more."""
    ends: float = 0.0
    stays = time.monotonic()
    server = place.client.store.clients.scripts
    # A renewal that was under way may still arrive.
    while time.monotonic() - stays < 0.2:
        found = server.zscore(place.client.store.keys.agents, agent) or 0.0
        if found != ends:
            ends, stays = found, time.monotonic()
        PAUSE.wait(0.01)
    seconds, microseconds = server.time()
    return max(0.0, ends / 1000 - seconds - microseconds / 1e6)
