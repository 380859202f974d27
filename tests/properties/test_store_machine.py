"""The scripts against a plain model: whatever is done in whatever order, both agree.

A machine creates, claims, finishes, fails, loses, hands back, cancels, resumes and requeues, and
repeats calls as a client does whose answer was lost. After each step the states, the counters, the
queue and RQ's registries are compared, and every change is looked up in the transition table.

Each test run does it on every backend. The long form is a command, on the quickest of them:
`python -m tests.properties.test_store_machine 10000`.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis.exceptions import ResponseError

from rootward.orchestrator.states import DeploymentState, TaskState, may_become
from rootward.orchestrator.store import scripts
from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.keys import Keys
from rootward.orchestrator.store.store import Store
from tests.properties.model import Model
from tests.support.scenes import LEASE_MS, Scene, done, failed, hasten_retries, put_off_retries
from tests.support.swift_redis import SwiftRedis

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from rootward.orchestrator.store.records import Claim, Finish

EXAMPLES = 300 if os.environ.get("CI") == "true" else 15
AGENTS = ("a", "b")


@st.composite
def plans(draw: st.DrawFn) -> dict[str, list[str]]:
    """Draw a plan of up to nine tasks, some of them joins, each after some of those before it."""
    edges: dict[str, list[str]] = {}
    for number in range(draw(st.integers(1, 9))):
        earlier = list(edges)
        after = draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        is_join = bool(after) and draw(st.booleans()) and draw(st.booleans())
        edges[f"join:{number}" if is_join else f"train:m{number}"] = after
    return edges


class StoreMachine(RuleBasedStateMachine):
    """One generation, two agents that die and are replaced, and claims kept for ever."""

    def __init__(self, client: Redis) -> None:
        super().__init__()
        self.store = Store(Clients.sharing(client), Keys(prefix=f"m{uuid.uuid4().hex[:8]}"))
        self.client = client
        self.scene = Scene(self.store)
        self.births = 0
        self.agents = {slot: self.birth(slot) for slot in AGENTS}
        self.model = Model(tasks={}, retries=0, state=DeploymentState.READY)
        self.claims: list[Claim] = []
        self.requeued: set[str] = set()
        self.finishes: list[Finish] = []
        self.before: dict[str, TaskState] = {}
        self.resuming = False

    def birth(self, slot: str) -> str:
        self.births += 1
        return self.scene.join(f"{slot}-{self.births}")

    @initialize(edges=plans(), retries=st.integers(0, 1))
    def create(self, edges: dict[str, list[str]], retries: int) -> None:
        self.scene.submit(edges, retries=retries)
        self.model = Model.of(edges, retries)

    @rule(slot=st.sampled_from(AGENTS), limit=st.integers(1, 3))
    def claim(self, slot: str, limit: int) -> None:
        agent = self.agents[slot]
        self.took(self.scene.exchange(limit=limit, agent=agent).claims, agent)

    def took(self, claims: tuple[Claim, ...], agent: str) -> None:
        for claim in claims:
            if self.model.tasks[claim.task].state is TaskState.FAILED:
                assert claim.task in self.requeued, f"{claim.task} had failed"
                self.resuming = True
            self.requeued.discard(claim.task)
            self.model.claim(claim.task, agent)
            self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), ok=st.booleans(), times=st.integers(1, 2))
    def finish(self, data: st.DataObject, ok: bool, times: int) -> None:
        """Finish any claim that ever was, and maybe twice: only a running one counts, once."""
        claim = data.draw(st.sampled_from(self.claims))
        finish = done(claim) if ok else failed(claim)
        self.finishes.append(finish)
        is_running = self.is_running(claim)
        for _ in range(times):
            (result,) = self.scene.exchange(finish).results
            assert (result == "accepted") is is_running
            if is_running:
                (self.model.succeed if ok else self.model.fail)(claim.task)
            is_running = False

    def is_running(self, claim: Claim) -> bool:
        last = [each for each in self.claims if each.task == claim.task][-1]
        return last is claim and self.model.tasks[claim.task].state is TaskState.RUNNING

    @precondition(lambda self: self.finishes)
    @rule(data=st.data())
    def finish_again(self, data: st.DataObject) -> None:
        """Send an old finish once more, together with a claim."""
        finish = data.draw(st.sampled_from(self.finishes))
        if any(self.is_running(c) for c in self.claims if c.token == finish.token):
            return
        agent = self.agents["a"]
        answer = self.scene.exchange(finish, limit=1, agent=agent)
        assert answer.results[0] != "accepted"
        self.took(answer.claims, agent)

    @rule(slot=st.sampled_from(AGENTS))
    def claim_with_a_lost_answer(self, slot: str) -> None:
        agent = self.agents[slot]
        args = [self.store.tasks.next_request(), 2, 1, self.scene.queue, 0, 0]
        first = self.scene.send_exchange(args, agent=agent)
        again = self.scene.send_exchange(args, agent=agent)
        assert again == first
        self.store.tasks._unanswered[agent] = str(args[0])
        answer = self.scene.exchange(agent=agent)
        assert len(answer.claims) == first[3]
        self.took(answer.claims, agent)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def hand_back(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        is_running = self.is_running(claim)
        assert self.store.tasks.hand_back(claim.job_id, claim.token) is is_running
        if is_running:
            self.model.hand_back(claim.task)

    @rule(slot=st.sampled_from(AGENTS))
    def lose(self, slot: str) -> None:
        agent = self.agents[slot]
        # The sweep looks at everything, and how long this example has taken is no part of it.
        put_off_retries(self.store)
        self.client.zadd(self.store.keys.agents, {agent: 1})
        self.client.delete(self.store.keys.sweep)
        assert self.store.agents.sweep(LEASE_MS).lost_agents == (agent,)
        self.model.lose(agent)
        self.agents[slot] = self.birth(slot)

    @rule()
    def pass_time(self) -> None:
        hasten_retries(self.store)

    @rule()
    def cancel(self) -> None:
        was = self.model.state.is_progressing
        assert self.store.deployments.cancel("demo", 1) is was
        if was:
            self.model.cancel()

    @rule()
    def resume(self) -> None:
        self.resuming = True
        assert self.store.deployments.resume("demo", 1) is self.model.resume()

    @precondition(lambda self: self.model.failed)
    @rule(data=st.data())
    def requeue_by_rq(self, data: st.DataObject) -> None:
        """Do as `rq requeue`: it sets the status and pushes, and asks nobody."""
        names = [t.id for t in self.model.tasks.values() if t.state is TaskState.FAILED]
        chosen = data.draw(st.sampled_from(names))
        job = next(t.job_id for t in self.store.tasks.of("demo", 1) if t.id == chosen)
        self.client.zrem(f"rq:failed:{self.scene.queue}", job)
        self.client.hset(self.store.keys.job(job), "status", "queued")
        self.client.rpush(self.store.keys.queue(self.scene.queue), job)
        self.requeued.add(chosen)

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        record = self.store.deployments.generation("demo", 1)
        if record is None:
            return
        tasks = {task.id: task for task in self.store.tasks.of("demo", 1)}
        states = {id_: task.state for id_, task in tasks.items()}
        assert states == {id_: task.state for id_, task in self.model.tasks.items()}
        assert (record.state, record.left, record.failed) == (
            self.model.state,
            self.model.left,
            self.model.failed,
        )
        assert [id_ for id_ in ("demo",) if record.is_over] == [
            name for name in ("demo",) if ("demo", 1) not in self.store.deployments.active()
        ]
        for id_, state in states.items():
            assert self.is_right(self.before.get(id_, state), state), f"{id_} became {state}"
        self.before, self.resuming = states, False

    def is_right(self, earlier: TaskState, later: TaskState) -> bool:
        """Look the change up; one step may take a task through two changes."""
        return any(
            may_become(earlier, between, resumed=self.resuming)
            and may_become(between, later, resumed=self.resuming)
            for between in TaskState
        )

    @invariant()
    def every_queued_job_is_on_the_queue_and_every_running_one_held(self) -> None:
        tasks = self.store.tasks.of("demo", 1)
        queued = {task.job_id for task in tasks if task.state is TaskState.QUEUED}
        listed = self.client.lrange(self.store.keys.queue(self.scene.queue), 0, -1)
        listed += self.client.zrange(f"rq:scheduled:{self.scene.queue}", 0, -1)
        assert queued <= {id_.decode() for id_ in listed}
        running = {(t.agent_id, t.job_id) for t in tasks if t.state is TaskState.RUNNING}
        held = {
            (agent, job.decode())
            for agent in self.agents.values()
            for job in self.client.smembers(self.store.keys.held(agent))
        }
        assert held == running
        wip = self.client.zrange(f"rq:wip:{self.scene.queue}", 0, -1)
        assert {entry.decode().partition(":")[0] for entry in wip} == {job for _, job in running}

    @invariant()
    def an_ended_generation_has_a_time_to_live(self) -> None:
        ended = ("demo", 1) not in self.store.deployments.active()
        for task in self.store.tasks.of("demo", 1):
            assert (self.client.ttl(self.store.keys.job(task.job_id)) >= 0) is ended

    def teardown(self) -> None:
        """Leave no queue behind that the next sweeps would look at."""
        ours = f"rq:queue:{self.store.keys.prefix}".encode()
        queues = [key for key in self.client.smembers("rq:queues") if key.startswith(ours)]
        if queues:
            self.client.srem("rq:queues", *queues)


def run(examples: int, client: Callable[[], Redis], **more: Any) -> None:
    """Run the machine; each example is given a client."""
    options = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        **more,
    )
    run_state_machine_as_test(lambda: StoreMachine(client()), settings=options)


# Many short lives of one store take longer than any single test may.
@pytest.mark.timeout(900)
def test_the_scripts_do_as_the_model(server: Clients, request: pytest.FixtureRequest) -> None:
    """Invariants 1 to 3 and 8, on each backend."""
    if request.node.callspec.params["server"] == "fake":
        run(EXAMPLES, lambda: fakeredis.FakeRedis(protocol=2))
    else:
        run(EXAMPLES, lambda: server.scripts)


PLANTED = {
    "a finish counts twice": (
        "exchange",
        "if job.state ~= 'running' then return 'r' end",
        "",
    ),
    "tokens aren't compared": ("exchange", "job.token ~= f.token", "false"),
    "the barrier opens early": ("exchange", "-counts[index]) == 0", "-counts[index]) <= 1"),
    "a request that is repeated claims anew": (
        "exchange",
        "if v[2] == request then",
        "if false then",
    ),
    "what isn't held any more is given back": ("hand_back", "or job.token ~= token", ""),
    "a lost task stays with its worker": (
        "sweep",
        "detach(g, job, '')\n  enqueue(job, rare.queue_at(job, home), true)",
        "",
    ),
    "what is cancelled may be cancelled again": (
        "cancel",
        "if state ~= 'pending' and state ~= 'progressing' then return 0 end",
        "",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first example that shows it is enough, however long it is."""
    script, old, new = PLANTED[name]
    text = scripts.source(script)
    assert old in text, f"{script} has changed: {old!r} isn't in it"
    broken = text.replace(old, new)
    source = scripts.source
    monkeypatch.setattr(scripts, "source", lambda name: broken if name == script else source(name))
    with pytest.raises((AssertionError, ResponseError, KeyError)):
        run(1000, SwiftRedis, phases=[Phase.generate], derandomize=True, database=None)


def main() -> None:
    """Run as many examples as are asked for, without the wire."""
    began = time.process_time()
    run(int(sys.argv[1]), SwiftRedis)
    print(f"{sys.argv[1]} examples in {time.process_time() - began:.0f} s, no difference")


if __name__ == "__main__":
    main()
