"""How agents live and die: leases, the sweep and its amnesty, losses, owners, the lead."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.scenes import LEASE_MS, Scene
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from orchestrator.records import Sweep
    from orchestrator.store import Store


def swept(store: Store, agent: str) -> Sweep:
    """Let the agent's lease end and sweep until it is found."""
    store.renew(agent, 1)

    def found() -> Sweep | None:
        sweep = store.sweep(LEASE_MS)
        return sweep if agent in sweep.lost_agents else None

    sweep = wait_until(found, description=f"{agent} is swept")
    assert sweep is not None
    return sweep


def test_a_lost_agents_task_is_queued_again_and_its_late_finish_refused(store: Store) -> None:
    """Invariants 2 and 3."""
    scene = Scene(store)
    scene.submit({"train:a": []})
    scene.join("dead-1")
    lost = scene.claim(agent="dead-1")
    assert swept(store, "dead-1").requeued == (lost.job_id,)
    again = scene.claim()
    assert (again.job_id, again.attempt) == (lost.job_id, 2)
    assert scene.succeed(lost) == "stale"
    assert scene.succeed(again) == "accepted"
    assert "task.lost" in scene.events()


@pytest.mark.parametrize("is_lost", [True, False])
def test_what_an_agent_held_comes_back_in_front_and_in_the_order_of_the_plan(
    store: Store, is_lost: bool
) -> None:
    scene = Scene(store)
    first = [f"train:a{number}" for number in range(12)]
    scene.submit({id_: [] for id_ in [*first, "train:b"]})
    scene.join("w-2")
    claims = scene.exchange(limit=12, agent="w-2").claims
    assert [claim.task for claim in claims] == first
    if is_lost:
        swept(store, "w-2")
    else:
        store.leave("w-2")
    assert scene.run_all() == [*first, "train:b"]


def test_deploys_that_wait_for_the_agent_that_prepared_them_come_back_in_order(
    store: Store,
) -> None:
    scene = Scene(store)
    paths = ["a", "b", "c"]
    prepares = {f"prepare:{path}": [] for path in paths}
    deploys = {f"deploy:{path}": ["train:x"] for path in paths}
    scene.submit({**prepares, "train:x": [], **deploys}, services=dict.fromkeys(paths, 1))
    scene.join("warm-1")
    scene.exchange(limit=3, agent="warm-1")
    scene.succeed(scene.claim())
    assert scene.exchange(limit=1).claims == (), "what is prepared waits for the agent that did it"
    store.leave("warm-1")
    assert scene.run_all()[:3] == list(deploys)


def test_a_server_that_forgets_its_scripts_again_and_again_is_told_them_with_the_call(
    store: Store,
) -> None:
    ending = threading.Event()
    client = store.clients.blocking

    def forget() -> None:
        while not ending.is_set():
            client.script_flush()

    thread = threading.Thread(target=forget)
    thread.start()
    try:
        scene = Scene(store)
        assert all(store.renew(scene.agent, LEASE_MS).known for _ in range(300))
    finally:
        ending.set()
        thread.join()


def test_a_sweep_tells_when_the_next_can_find_something(store: Store) -> None:
    assert store.sweep(LEASE_MS).due_ms is None
    store.clients.scripts.hdel(store.keys.sweep, "swept")
    scene = Scene(store)
    scene.join("other-1", 2 * LEASE_MS)
    first = store.sweep(LEASE_MS).due_ms
    assert first is not None
    assert LEASE_MS / 2 < first <= LEASE_MS
    store.clients.scripts.zadd(store.keys.agents, {"other-1": 1})
    again = store.sweep(LEASE_MS)
    assert again.lost_agents == (), "too soon after the last"
    assert again.due_ms is not None
    assert 0 <= again.due_ms <= 200


def test_who_sweeps_isnt_due_for_its_own_lease(store: Store) -> None:
    """While it sweeps it lives, and renews."""
    scene = Scene(store)
    assert store.sweep(LEASE_MS, scene.agent).due_ms is None
    scene.join("other-1", LEASE_MS // 2)
    early = store.sweep(LEASE_MS, scene.agent).due_ms
    assert early is not None
    assert LEASE_MS / 4 < early <= LEASE_MS / 2
    late = store.sweep(LEASE_MS, "other-1").due_ms
    assert late is not None
    assert LEASE_MS / 2 < late <= LEASE_MS
    store.renew(scene.agent, 1)
    assert wait_until(
        lambda: store.sweep(LEASE_MS, scene.agent).lost_agents, description="its lease ends"
    ) == (scene.agent,), "it may be too late all the same"


def test_a_task_that_lost_its_process_is_told_and_counted_like_one_that_lost_its_worker(
    store: Store,
) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    first = scene.claim()
    assert store.hand_back(first.job_id, first.token, lost="killed by SIGKILL")
    assert not store.hand_back(first.job_id, first.token, lost="killed by SIGKILL")
    [lost] = [event for event in store.events("demo") if event.event == "task.lost"]
    assert (lost.worker, lost.attempt, lost.reason) == ("w", 1, "killed by SIGKILL")
    second = scene.claim()
    assert second.attempt == 2
    assert store.hand_back(second.job_id, second.token, lost="killed by SIGKILL")
    dead = scene.join("dead-1")
    third = scene.claim(agent=dead)
    assert swept(store, dead).failed == (third.job_id,)


def test_a_task_that_loses_three_workers_fails(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": ["train:a"]}, retries=5)
    for number in range(3):
        agent = scene.join(f"dead-{number}")
        claim = scene.claim(agent=agent)
        sweep = swept(store, agent)
    assert sweep.failed == (claim.job_id,)
    assert scene.states() == {"train:a": "failed", "train:b": "skipped"}
    (task, _) = store.tasks("demo", 1)
    assert task.error is not None
    assert task.error["type"] == "WorkerLost"
    assert scene.state() == "failed"


def test_a_task_that_ends_its_workers_takes_no_sibling_with_it(store: Store) -> None:
    """What was lost twice runs alone, so the third loss is the poison's only."""
    scene = Scene(store)
    scene.submit({f"train:{name}": [] for name in ("poison", "b", "c")})
    for number in range(2):
        agent = scene.join(f"dead-{number}")
        assert len(scene.claim_all(agent=agent)) == 3
        swept(store, agent)
    ran = []
    for number in range(2, 9):
        agent = scene.join(f"dead-{number}")
        claims = scene.claim_all(agent=agent)
        if not claims:
            break
        [(task, claim)] = claims.items()
        assert scene.exchange(agent=agent, limit=4).claims == ()
        ran.append(task)
        if task == "train:poison":
            swept(store, agent)
        else:
            assert scene.succeed(claim) == "accepted"
    assert sorted(ran) == ["train:b", "train:c", "train:poison"]
    assert scene.states() == {
        "train:poison": "failed",
        "train:b": "succeeded",
        "train:c": "succeeded",
    }


def test_a_busy_worker_leaves_a_suspect_to_others(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    for number in range(2):
        agent = scene.join(f"dead-{number}")
        scene.claim(agent=agent)
        swept(store, agent)
    scene.submit({"train:long": [], "train:other": []}, name="busy")
    (first,) = scene.exchange(limit=1).claims
    assert first.task == "train:a"
    assert store.hand_back(first.job_id, first.token)
    client, queue = store.clients.scripts, store.keys.queue(scene.queue)
    client.lmove(queue, queue, "LEFT", "RIGHT")
    assert scene.claim().task == "train:long"
    client.lmove(queue, queue, "RIGHT", "LEFT")
    assert scene.claim().task == "train:other"
    assert scene.exchange(limit=1).claims == ()
    assert scene.claim(agent=scene.join("idle-1")).task == "train:a"


def test_a_lease_taken_right_after_the_clock_jumped_back_holds(store: Store) -> None:
    """The amnesty moves what was written before the jump, and nothing else."""
    scene = Scene(store)
    client, sweep = store.clients.scripts, store.keys.sweep
    seconds, _ = client.time()
    ahead = 1000 * (seconds + 90)
    client.hset(sweep, "heard", ahead)
    client.zadd(store.keys.agents, {scene.agent: ahead + LEASE_MS})
    scene.join("new-1")
    client.hdel(sweep, "swept")
    assert store.sweep(LEASE_MS).lost_agents == ()
    for agent in (scene.agent, "new-1"):
        ends = client.zscore(store.keys.agents, agent) - 1000 * seconds
        assert LEASE_MS - 5000 <= ends <= LEASE_MS + 5000


def test_a_swept_agents_id_is_gone_for_ever(store: Store) -> None:
    scene = Scene(store)
    agent = scene.join("dead-1")
    swept(store, agent)
    assert not store.renew(agent, LEASE_MS).known
    assert not scene.exchange(limit=1, agent=agent).known
    assert not scene.put("a", agent=agent)
    assert not store.join(store.agents()[0].info.__class__(id=agent, worker="dead"), 1000).known


def test_replicas_of_a_lost_agent_leave_the_registry(store: Store) -> None:
    """Invariant 4."""
    scene = Scene(store)
    scene.submit({"deploy:a": []}, services={"a": 1})
    scene.join("dead-1")
    claim = scene.claim()
    scene.put("a", agent="dead-1")
    scene.succeed(claim)
    after = store.changes_end()
    swept(store, "dead-1")
    assert store.replicas("demo", 1) == []
    assert scene.state() == "degraded"
    assert [change.op for change in store.changes(after)][-1] == "drop"
    assert "replica.lost" in scene.events()


def test_a_renewed_lease_is_never_swept(store: Store) -> None:
    scene = Scene(store)
    store.sweep(LEASE_MS)
    assert store.renew(scene.agent, LEASE_MS).known
    assert store.sweep(LEASE_MS).lost_agents == ()
    (record,) = store.agents()
    assert 0 < record.lease_ms <= LEASE_MS


def test_after_a_pause_of_all_nobody_is_judged_by_that_time(store: Store) -> None:
    """A pause of Redis, or of everyone who sweeps, evicts nobody: leases get the time back."""
    scene = Scene(store)
    store.sweep(LEASE_MS)
    store.renew(scene.agent, 1)
    heard = int(store.clients.scripts.hget(store.keys.sweep, "heard") or 0)
    store.clients.scripts.hset(store.keys.sweep, mapping={"heard": heard - 60_000, "swept": 0})
    assert store.sweep(LEASE_MS).lost_agents == ()
    (record,) = store.agents()
    assert 50_000 < record.lease_ms <= LEASE_MS


def test_a_short_lease_is_given_back_a_pause_that_longer_ones_survive(store: Store) -> None:
    """A pause of Redis of 1.9 s, of which a lease of 2 s that was half over would die."""
    scene = Scene(store)
    store.sweep(2000)
    assert store.renew(scene.agent, 2000).known
    client, keys = store.clients.scripts, store.keys
    heard = int(client.hget(keys.sweep, "heard") or 0)
    ends = client.zscore(keys.agents, scene.agent)
    assert ends is not None
    # As if all that was written had been written 1.9 s earlier, and a renewal a second before that.
    client.hset(keys.sweep, mapping={"heard": heard - 1900, "swept": 0})
    client.zadd(keys.agents, {scene.agent: ends - 2900})
    assert store.sweep(2000).lost_agents == ()
    (record,) = store.agents()
    assert 0 < record.lease_ms <= 2000


def test_who_renews_first_after_a_pause_gives_the_others_their_time_back(store: Store) -> None:
    scene = Scene(store)
    scene.join("w-2")
    store.sweep(LEASE_MS)
    store.renew("w-2", 1)
    heard = int(store.clients.scripts.hget(store.keys.sweep, "heard") or 0)
    store.clients.scripts.hset(store.keys.sweep, mapping={"heard": heard - 60_000, "swept": 0})
    store.renew(scene.agent, LEASE_MS)
    assert store.sweep(LEASE_MS).lost_agents == ()
    assert {record.info.id for record in store.agents()} == {scene.agent, "w-2"}


def test_after_a_long_pause_a_lease_is_at_most_a_whole_one(store: Store) -> None:
    scene = Scene(store)
    store.sweep(LEASE_MS)
    store.renew(scene.agent, 1)
    store.clients.scripts.hset(store.keys.sweep, mapping={"heard": 1, "swept": 0})
    store.sweep(LEASE_MS)
    (record,) = store.agents()
    assert record.lease_ms <= LEASE_MS


def test_an_agent_that_leaves_counts_no_loss(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    scene.join("gone-1")
    scene.claim(agent="gone-1")
    assert store.leave("gone-1")
    assert not store.leave("gone-1")
    assert scene.claim().attempt == 1
    assert [record.info.id for record in store.agents()] == [scene.agent]


def test_a_deploy_goes_to_the_agent_that_prepared_it(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"prepare:a": [], "train:b": [], "deploy:a": ["train:b"]}, services={"a": 1})
    scene.join("warm-1")
    prepare = scene.claim(agent="warm-1")
    train = scene.claim()
    assert (prepare.task, train.task) == ("prepare:a", "train:b")
    record = store.generation("demo", 1)
    assert record is not None
    assert record.prepared == {"a": "warm-1"}
    scene.succeed(train)
    assert scene.exchange(limit=1).claims == ()
    assert scene.claim(agent="warm-1").task == "deploy:a"


def test_a_deploy_comes_back_when_the_agent_that_prepared_it_is_lost(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"prepare:a": [], "train:b": [], "deploy:a": ["train:b"]}, services={"a": 1})
    scene.join("warm-1")
    scene.claim(agent="warm-1")
    scene.succeed(scene.claim())
    swept(store, "warm-1")
    claims = scene.claim_all()
    assert "deploy:a" in claims


def test_a_prepare_that_comes_too_late_is_skipped(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"deploy:a": [], "prepare:a": []}, services={"a": 1})
    assert set(scene.claim_all()) == {"deploy:a"}
    assert scene.states()["prepare:a"] == "skipped"


def test_a_failed_prepare_fails_nothing(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"prepare:a": [], "deploy:a": []}, services={"a": 1})
    claims = scene.claim_all()
    if "prepare:a" in claims:
        scene.fail(claims["prepare:a"])
    scene.put("a")
    scene.succeed(claims["deploy:a"])
    assert scene.state() == "ready"


def test_there_is_one_leader_at_a_time(store: Store) -> None:
    scene = Scene(store)
    scene.join("w-2")
    assert store.lead(scene.agent, LEASE_MS)
    assert store.lead(scene.agent, LEASE_MS)
    assert not store.lead("w-2", LEASE_MS)
    store.leave(scene.agent)
    assert store.lead("w-2", LEASE_MS)
    assert not store.lead("nobody-1", LEASE_MS)


def test_a_program_that_was_killed_is_noticed_by_its_lease(store: Store) -> None:
    scene = Scene(store)
    store.own("program-1", LEASE_MS)
    scene.submit({"train:a": []}, owner="program-1")
    store.sweep(LEASE_MS)
    store.own("program-1", 1)
    wait_until(
        lambda: "demo@1" in store.sweep(LEASE_MS).stopped, description="the owner's lease ends"
    )
    assert scene.state() == "stopped"


def test_an_agent_sees_that_the_store_has_lost_its_data(store: Store) -> None:
    scene = Scene(store)
    known = store.renew(scene.agent, LEASE_MS).store_id
    assert known == store.store_id() == store.renew(scene.agent, LEASE_MS).store_id


def test_a_sweep_tells_whether_anything_is_active(store: Store) -> None:
    scene = Scene(store)
    assert store.sweep(LEASE_MS).is_idle
    scene.submit({"train:a": []})
    assert not store.sweep(LEASE_MS).is_idle
    scene.run_all()
    assert store.sweep(LEASE_MS).is_idle
