"""How generations end before their time: what is stopped or cancelled in the midst does no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.store.records import TaskSpec
from tests.support.scenes import Scene

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store


def test_stop_in_the_midst_cancels_what_runs_and_what_is_still_to_come(store: Store) -> None:
    scene = Scene(store)
    edges = {"deploy:a": [], "train:b": [], "train:c": [], "train:d": ["train:b"]}
    scene.submit(edges, services={"a": 1})
    first, running = scene.claim(), scene.claim()
    scene.put("a")
    scene.succeed(first)
    assert scene.state() == "progressing"
    cursors = store.agents.wait_bell(scene.agent, {}, 1).cursors
    assert store.deployments.stop("demo", reason="by hand") == (1,)
    assert scene.states() == {
        "deploy:a": "succeeded",
        "train:b": "cancelled",
        "train:c": "cancelled",
        "train:d": "cancelled",
    }
    assert scene.state() == "stopping"
    assert store.agents.wait_bell(scene.agent, cursors, 100).commands == (
        {"op": "cancel_job", "job": running.job_id, "reason": "by hand"},
    )
    assert scene.exchange(limit=5).claims == ()
    assert scene.succeed(running) == "stale"
    store.registry.drop("demo", 1, "r-a")
    assert scene.state() == "stopped"


def test_stop_before_anything_was_claimed_leaves_nothing_to_claim(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": ["train:a"]})
    assert store.deployments.stop("demo") == (1,)
    assert scene.states() == {"train:a": "cancelled", "train:b": "cancelled"}
    assert scene.state() == "stopped"
    assert store.clients.scripts.llen(f"{store.keys.rq}:queue:{scene.queue}") == 0
    assert scene.exchange(limit=5).claims == ()


@pytest.mark.parametrize("replicas", [0, 1])
def test_stop_of_a_degraded_generation_cancels_its_repairs(store: Store, replicas: int) -> None:
    scene = Scene(store)
    scene.submit({"deploy:a": []}, services={"a": 1})
    claim = scene.claim()
    scene.put("a", replica="r1")
    scene.succeed(claim)
    store.deployments.scale("demo", 1, "a", 2)
    if not replicas:
        store.registry.drop("demo", 1, "r1", "it crashed")
    spec = TaskSpec(id="deploy:a", data=b"d", queue=scene.queue)
    for number in range(2 - replicas):
        store.deployments.add_repair(
            "demo", 1, "a", spec=spec, job_id=f"{store.keys.prefix}-demo-1-r{number}"
        )
    running = scene.claim()
    assert store.deployments.stop("demo") == (1,)
    assert scene.exchange(limit=5).claims == ()
    assert scene.succeed(running) == "stale"
    assert scene.state() == ("stopping" if replicas else "stopped")


def test_cancel_takes_what_waits_for_another_try_out_of_its_schedule(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": []}, retries=2)
    scene.fail(scene.claim())
    client, rq = store.clients.scripts, store.keys.rq
    scheduled, queue = f"{rq}:scheduled:{scene.queue}", f"{rq}:queue:{scene.queue}"
    assert (client.zcard(scheduled), client.llen(queue)) == (1, 1)
    assert store.deployments.cancel("demo", 1, "by hand")
    assert (client.zcard(scheduled), client.llen(queue)) == (0, 0)
    assert scene.states() == {"train:a": "cancelled", "train:b": "cancelled"}


def test_the_events_of_a_deployment_name_each_state_in_turn(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    scene.fail(scene.claim())
    assert store.deployments.resume("demo", 1)
    scene.run_all()
    states = [name for name in scene.events() if not name.startswith("task")]
    assert states == [
        "submitted",
        "progressing",
        "deployment.failed",
        "progressing",
        "deployment.ready",
    ]


def test_stopping_what_has_stopped_or_stops_does_nothing(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"deploy:a": []}, services={"a": 1})
    claim = scene.claim()
    scene.put("a", replica="r1")
    scene.succeed(claim)
    assert store.deployments.stop("demo", 1) == (1,)
    events = scene.events()
    assert store.deployments.stop("demo", 1) == ()
    store.registry.drop("demo", 1, "r1")
    assert scene.state() == "stopped"
    stopped = scene.events()
    assert store.deployments.stop("demo", 1) == ()
    assert scene.state() == "stopped"
    assert scene.events() == stopped != events


def test_what_is_cancelled_with_nothing_left_is_history(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []}, history_s=100.0)
    assert store.deployments.active() == [("demo", 1)]
    assert store.deployments.cancel("demo", 1, "by hand")
    assert store.deployments.active() == []
    assert 0 < store.clients.scripts.ttl(store.keys.generation("demo", 1)) <= 100


def test_a_deployment_that_serves_has_not_ended_and_one_that_only_trained_has(
    store: Store,
) -> None:
    scene = Scene(store)
    scene.submit({"deploy:a": []}, name="serves", services={"a": 1})
    claim = scene.claim()
    scene.put("a", name="serves")
    scene.succeed(claim)
    scene.submit({"train:a": []}, name="trained")
    scene.run_all()
    assert (scene.state("serves"), scene.state("trained")) == ("ready", "ready")
    serves = store.deployments.generation("serves", 1)
    trained = store.deployments.generation("trained", 1)
    assert serves is not None
    assert trained is not None
    assert (serves.ended_at is None, trained.ended_at is None) == (True, False)
