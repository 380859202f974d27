"""What becomes of what an agent held when it dies, leaves, or loses a process under a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.store.records import AgentInfo
from tests.support.scenes import LEASE_MS, Scene, failed, hasten_retries, swept

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

KILLED = {"type": "ProcessLost", "message": "killed by SIGKILL", "traceback": ""}


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
        store.agents.leave("w-2")
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
    store.agents.leave("warm-1")
    assert scene.run_all()[:3] == list(deploys)


def test_a_task_that_lost_its_process_is_told_and_counted_like_one_that_lost_its_worker(
    store: Store,
) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    first = scene.claim()
    assert store.tasks.hand_back(first.job_id, first.token, lost=KILLED)
    assert not store.tasks.hand_back(first.job_id, first.token, lost=KILLED)
    [lost] = [event for event in store.history.events("demo") if event.event == "task.lost"]
    assert (lost.worker, lost.attempt, lost.reason) == ("w", 1, "killed by SIGKILL")
    second = scene.claim()
    assert second.attempt == 2
    assert store.tasks.hand_back(second.job_id, second.token, lost=KILLED)
    dead = scene.join("dead-1")
    third = scene.claim(agent=dead)
    assert swept(store, dead).failed == (third.job_id,)


def test_losses_and_exceptions_have_limits_of_their_own(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []}, retries=2)
    for _ in range(2):
        scene.fail(scene.claim())
        assert hasten_retries(store)
    for _ in range(2):
        lost = scene.claim()
        assert store.tasks.hand_back(lost.job_id, lost.token, lost=KILLED)
    last = scene.claim()
    assert last.attempt == 5
    assert scene.succeed(last) == "accepted"
    assert scene.state() == "ready"


def test_the_third_loss_fails_a_task_of_what_its_process_ended_of_whatever_retries_are_left(
    store: Store,
) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": ["train:a"]}, retries=5)
    for _ in range(3):
        lost = scene.claim()
        assert store.tasks.hand_back(lost.job_id, lost.token, lost=KILLED)
    assert scene.states() == {"train:a": "failed", "train:b": "skipped"}
    (task, _) = store.tasks.of("demo", 1)
    assert (task.attempt, task.error) == (3, KILLED)
    assert "lost 3 times" in str(task.reason)


def test_a_task_that_loses_three_workers_fails(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": ["train:a"]}, retries=5)
    for number in range(3):
        agent = scene.join(f"dead-{number}")
        claim = scene.claim(agent=agent)
        sweep = swept(store, agent)
    assert sweep.failed == (claim.job_id,)
    assert scene.states() == {"train:a": "failed", "train:b": "skipped"}
    (task, _) = store.tasks.of("demo", 1)
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
    assert store.tasks.hand_back(first.job_id, first.token)
    client, queue = store.clients.scripts, store.keys.queue(scene.queue)
    client.lmove(queue, queue, "LEFT", "RIGHT")
    assert scene.claim().task == "train:long"
    client.lmove(queue, queue, "RIGHT", "LEFT")
    assert scene.claim().task == "train:other"
    assert scene.exchange(limit=1).claims == ()
    assert scene.claim(agent=scene.join("idle-1")).task == "train:a"


def test_replicas_of_a_lost_agent_leave_the_registry(store: Store) -> None:
    """Invariant 4."""
    scene = Scene(store)
    scene.submit({"deploy:a": []}, services={"a": 1})
    scene.join("dead-1")
    claim = scene.claim()
    scene.put("a", agent="dead-1")
    scene.succeed(claim)
    after = store.registry.changes_end()
    swept(store, "dead-1")
    assert store.registry.replicas("demo", 1) == []
    assert scene.state() == "degraded"
    assert [change.op for change in store.registry.changes(after)][-1] == "drop"
    assert "replica.lost" in scene.events()


def test_an_agent_that_leaves_counts_no_loss(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    scene.join("gone-1")
    scene.claim(agent="gone-1")
    assert store.agents.leave("gone-1")
    assert not store.agents.leave("gone-1")
    assert scene.claim().attempt == 1
    assert [record.info.id for record in store.agents.all()] == [scene.agent]


def test_a_deploy_comes_back_when_the_agent_that_prepared_it_is_lost(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"prepare:a": [], "train:b": [], "deploy:a": ["train:b"]}, services={"a": 1})
    scene.join("warm-1")
    scene.claim(agent="warm-1")
    scene.succeed(scene.claim())
    swept(store, "warm-1")
    claims = scene.claim_all()
    assert "deploy:a" in claims


def keeper(scene: Scene) -> str:
    """Return an agent on whose machine workspaces lie."""
    info = AgentInfo(id="k-1", worker="k", queues=(scene.queue,), keeps_workspaces=True)
    assert scene.store.agents.join(info, LEASE_MS).known
    return info.id


@pytest.mark.parametrize("is_raised", [False, True])
def test_a_training_is_left_to_the_worker_that_has_its_workspace(
    store: Store, is_raised: bool
) -> None:
    scene = Scene(store)
    home = keeper(scene)
    scene.submit({"train:a": [], "eval:b": []}, retries=1)
    training, other = scene.exchange(limit=2, agent=home).claims
    if is_raised:
        scene.exchange(failed(training), failed(other), agent=home)
        assert hasten_retries(store)
    else:
        for each in (training, other):
            assert store.tasks.hand_back(each.job_id, each.token, lost=KILLED)
    assert [each.task for each in scene.exchange(limit=5).claims] == ["eval:b"]
    assert [each.task for each in scene.exchange(limit=5, agent=home).claims] == ["train:a"]


@pytest.mark.parametrize("end", ["leaves", "dies", "is quiet", "is busy"])
def test_a_training_is_not_left_for_ever_to_a_worker_that_does_not_take_it(
    store: Store, end: str
) -> None:
    scene = Scene(store)
    home = keeper(scene)
    scene.submit({"train:a": []})
    claim = scene.claim(agent=home)
    if end == "is quiet":
        info = AgentInfo(
            id=home, worker="k", queues=(scene.queue,), keeps_workspaces=True, state="quiet"
        )
        store.agents.join(info, LEASE_MS)
    assert store.tasks.hand_back(claim.job_id, claim.token, lost=KILLED)
    if end == "leaves":
        store.agents.leave(home)
    elif end == "dies":
        swept(store, home)
    elif end == "is busy":
        assert scene.exchange(limit=5).claims == ()
        client, key = store.clients.scripts, store.keys.job(claim.job_id)
        head, _, _ = client.hget(key, "rw").decode().rpartition(" ")
        client.hset(key, "rw", f"{head} 1")
        client.hdel(store.keys.sweep, "swept", "checked")
        store.agents.sweep(LEASE_MS)
    assert [each.task for each in scene.exchange(limit=5).claims] == ["train:a"]
