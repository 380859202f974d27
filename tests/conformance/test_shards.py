"""Shards of an evaluation in the store: none lost, none counted twice, none left behind."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from rootward.orchestrator.store.rq_compat import Shard, shard_of
from tests.support.scenes import Scene, done, failed, swept

if TYPE_CHECKING:
    from rootward.orchestrator.store.records import Claim
    from rootward.orchestrator.store.store import Store

KILLED = {"type": "ProcessLost", "message": "killed by SIGKILL", "traceback": ""}


def begun(store: Store, **options: Any) -> tuple[Scene, Claim]:
    """Return a scene in which an evaluation runs at the agent `w-1`."""
    scene = Scene(store)
    scene.submit({"eval:a": [], "eval:b": ["eval:a"]}, **options)
    return scene, scene.claim()


def add(store: Store, claim: Claim, *ranges: tuple[int, int]) -> list[Shard]:
    shards = [Shard(claim.job_id, *each, claim.attempt) for each in ranges]
    assert store.shards.add(claim, [(shard, b"payload") for shard in shards])
    return shards


def told(store: Store, agent: str) -> list[str]:
    """Return the shards of which the agent was told that they have ended."""
    commands = store.agents.wait_bell(agent, {store.keys.bell: "0-0"}, 1).cursors
    heard = store.clients.scripts.xrange(store.keys.inbox(agent))
    assert commands
    found = [json.loads(fields[b"c"]) for _, fields in heard]
    return [each["shard"] for each in found if each["op"] == "shard"]


def test_a_shard_is_known_by_the_id_of_its_job() -> None:
    shard = Shard("rw-my-app-12-7", 300, 450, 2)
    assert shard.job_id == "rw-my-app-12-s7x300x450x2"
    assert shard_of(shard.job_id) == shard
    assert shard_of("rw-my-app-12-7") is None
    assert shard_of("rw-s1x2x3x4-12-r0a1b") is None


def test_shards_run_elsewhere_and_whoever_waits_is_told(store: Store) -> None:
    scene, claim = begun(store)
    other = scene.join("x-1")
    first, second = add(store, claim, (10, 20), (20, 30))
    add(store, claim, (10, 20))
    claims = scene.exchange(limit=5, agent=other).claims
    assert [each.job_id for each in claims] == [first.job_id, second.job_id], "each once"
    assert [each.task for each in claims] == ["eval:a", "eval:a"]
    assert store.shards.result(claim, first) is None
    assert scene.succeed(claims[0], states=[b"ten"]) == "accepted"
    assert scene.succeed(claims[0], states=[b"twice"]) == "repeated"
    assert store.shards.result(claim, first) == b"ten"
    assert scene.fail(claims[1]) == "accepted"
    assert told(store, scene.agent) == [first.field, second.field]
    assert {each.field for each in store.shards.known(claim)} == {first.field, second.field}
    assert store.tasks.states("demo", 1) == [], "nothing of them is in the state log"
    assert scene.states()["eval:a"] == "running"
    assert "task.failed" not in scene.events()


@pytest.mark.parametrize("is_failed", [False, True])
def test_nothing_of_an_evaluation_that_has_ended_is_left(store: Store, is_failed: bool) -> None:
    scene, claim = begun(store)
    add(store, claim, (0, 5), (5, 10))
    [running] = scene.exchange(limit=1, agent=scene.join("x-1")).claims
    (scene.fail if is_failed else scene.succeed)(claim)
    assert not store.clients.scripts.exists(store.keys.part("demo", 1, "shards"))
    assert scene.succeed(running, states=[b"late"]) == "stale"
    assert not store.clients.scripts.exists(store.keys.part("demo", 1, "shards"))
    assert scene.run_all() == ([] if is_failed else ["eval:b"])
    assert not store.shards.add(claim, [(Shard(claim.job_id, 10, 20, 1), b"x")]), "it runs no more"


def test_shards_of_a_cancelled_deployment_are_cancelled(store: Store) -> None:
    scene, claim = begun(store)
    add(store, claim, (0, 5), (5, 10))
    [running] = scene.exchange(limit=1).claims
    store.deployments.cancel("demo", 1)
    assert scene.exchange(limit=5).claims == ()
    assert scene.succeed(running) == "stale"
    assert not store.clients.scripts.exists(store.keys.part("demo", 1, "shards"))


def test_a_lost_worker_costs_its_shards_and_another_attempt_finds_the_rest(store: Store) -> None:
    scene, claim = begun(store)
    other = scene.join("x-1")
    shards = add(store, claim, (0, 5), (5, 10))
    ended, open_ = scene.exchange(limit=2).claims
    scene.succeed(ended, states=[b"kept"])
    swept(store, scene.agent)
    again = {each.job_id: each for each in scene.exchange(limit=5, agent=other).claims}
    assert set(again) == {claim.job_id, open_.job_id}, "the evaluation and its open shard"
    assert scene.succeed(open_) == "stale"
    claim = again[claim.job_id]
    assert claim.attempt == 2
    assert {each.field for each in store.shards.known(claim)} == {each.field for each in shards}
    assert store.shards.result(claim, shards[0]) == b"kept"
    scene.exchange(done(again[open_.job_id], states=[b"too"]), agent=other)
    assert told(store, other) == [shards[1].field]
    lost = [each for each in store.history.events("demo") if each.event == "task.lost"]
    assert "items 5 to 9: worker w was lost" in {each.reason for each in lost}


def test_a_shard_that_loses_its_process_three_times_is_an_error(store: Store) -> None:
    scene, claim = begun(store)
    (shard,) = add(store, claim, (0, 5))
    for _ in range(3):
        running = scene.claim()
        assert store.tasks.hand_back(running.job_id, running.token, lost=KILLED)
    record = store.tasks.job(shard.job_id)
    assert record is not None
    assert record.state == "failed"
    assert told(store, scene.agent) == [shard.field]
    assert scene.state() == "progressing", "that it fails is the evaluation's to say"


def test_no_shard_is_lost_or_counted_twice_whatever_happens(store: Store) -> None:
    """Agents die, leave, hand back and repeat themselves; every shard has one result."""
    for seed in range(6):
        dice = random.Random(seed)
        scene, name = Scene(store, agent=f"w-{seed}"), f"demo{seed}"
        scene.submit({"eval:a": []}, name=name)
        claim = scene.claim()
        ranges = [(start, start + 10) for start in range(0, 200, 10)]
        shards = add(store, claim, *ranges)
        running: list[Claim] = []
        accepted: dict[str, int] = {}
        births = losses = 0
        helper = scene.join(f"h-{seed}-0")
        while len(accepted) < len(shards):
            step = dice.random()
            if step < 0.5:
                running += scene.exchange(limit=dice.randint(1, 3), agent=helper).claims
            elif running and step < 0.8:
                each = dice.choice(running[-12:])
                finish = done(each, states=[each.token.encode()])
                for result in scene.exchange(finish, finish, agent=helper).results:
                    if result == "accepted":
                        accepted[each.job_id] = accepted.get(each.job_id, 0) + 1
            elif running and step < 0.9:
                each = dice.choice(running[-12:])
                store.tasks.hand_back(each.job_id, each.token)
            else:
                births += 1
                if losses < 1 and dice.random() < 0.3:
                    losses += 1
                    swept(store, helper)
                else:
                    store.agents.leave(helper)
                helper = scene.join(f"h-{seed}-{births}")
        assert accepted == {each.job_id: 1 for each in shards}
        assert all(store.shards.result(claim, each) is not None for each in shards)
        assert scene.succeed(claim) == "accepted"
        scene.exchange(failed(claim), agent=helper)
        store.agents.leave(helper)
        store.agents.leave(scene.agent)


def test_the_event_of_an_evaluations_end_tells_its_result(store: Store) -> None:
    scene, claim = begun(store)
    scene.succeed(claim, output=[(0, json.dumps({"done": 5, "text": "recall: 0.9"}))])
    scene.succeed(scene.claim())
    ends = [each for each in store.history.events("demo") if each.event == "task.succeeded"]
    assert [(each.task, each.reason) for each in ends] == [
        ("eval:a", "recall: 0.9"),
        ("eval:b", None),
    ]
