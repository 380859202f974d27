"""How generations follow each other: ready, current, failed, cancelled, stopped, resumed, gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rootward.orchestrator.store.records import TaskSpec
from tests.support.scenes import Scene

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

SERVED = {"deploy:a": []}


def served(scene: Scene, number: int = 1) -> None:
    """Deploy one generation with one ready replica."""
    scene.submit(SERVED, services={"a": 1}, makes_current=True, generation=number)
    claim = scene.claim()
    assert scene.put("a", replica=f"r{number}", generation=number)
    assert scene.succeed(claim) == "accepted"


def test_a_generation_is_ready_when_its_tasks_and_its_replicas_are(store: Store) -> None:
    scene = Scene(store)
    scene.submit(SERVED, services={"a": 2}, makes_current=True)
    claim = scene.claim()
    scene.put("a", replica="r1")
    scene.succeed(claim)
    assert scene.state() == "progressing"
    scene.put("a", replica="r2")
    assert scene.state() == "ready"
    record = store.deployments.get("demo")
    assert record is not None
    assert record.current == 1


def test_the_course_tells_of_each_state_and_of_nothing_else(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": []})
    assert store.deployments.course("demo", 1, "0-0") == "0-0"
    first = scene.claim()
    begun = store.deployments.course("demo", 1, "0-0", 1000)
    assert begun != "0-0"
    scene.succeed(first)
    second = scene.claim()
    assert store.deployments.course("demo", 1, begun, 1) == begun
    scene.succeed(second)
    assert scene.state() == "ready"
    assert store.deployments.course("demo", 1, begun, 1000) != begun


def test_a_new_generation_becomes_current_in_one_step_and_then_the_old_one_stops(
    store: Store,
) -> None:
    scene = Scene(store)
    served(scene)
    scene.submit(SERVED, services={"a": 1}, makes_current=True, generation=2)
    claim = scene.claim()
    record = store.deployments.get("demo")
    assert record is not None
    assert (record.current, scene.state(generation=1)) == (1, "ready")
    scene.put("a", replica="r2", generation=2)
    scene.succeed(claim)
    record = store.deployments.get("demo")
    assert record is not None
    assert record.current == 2
    assert [scene.state(generation=n) for n in (1, 2)] == ["stopping", "ready"]
    store.registry.drop("demo", 1, "r1")
    assert scene.state(generation=1) == "stopped"
    assert store.deployments.active() == [("demo", 2)]


def test_a_newer_generation_cancels_one_that_progresses(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": ["train:a"]})
    claim = scene.claim()
    scene.submit({"train:a": []}, generation=2)
    assert scene.state(generation=1) == "cancelled"
    assert scene.states() == {"train:a": "cancelled", "train:b": "cancelled"}
    assert scene.succeed(claim) == "stale"
    heard = store.agents.wait_bell(
        scene.agent, store.agents.wait_bell(scene.agent, {}, 1).cursors, 100
    )
    assert heard.commands == (
        {"op": "cancel_job", "job": claim.job_id, "reason": "replaced by demo@2"},
    )


def test_a_failed_replacement_is_retired_and_leaves_the_current_one(store: Store) -> None:
    scene = Scene(store)
    served(scene)
    scene.submit({"deploy:a": [], "deploy:b": []}, services={"a": 1, "b": 1}, generation=2)
    claims = scene.claim_all()
    scene.put("a", replica="r2", generation=2)
    scene.succeed(claims["deploy:a"])
    scene.fail(claims["deploy:b"])
    failed, current = (
        store.deployments.generation("demo", 2),
        store.deployments.generation("demo", 1),
    )
    assert failed is not None
    assert current is not None
    assert (failed.state, failed.retire, failed.is_over) == ("failed", True, False)
    assert (current.state, current.retire) == ("ready", False)
    store.registry.drop("demo", 2, "r2")
    assert store.deployments.active() == [("demo", 1)]


def test_a_failed_first_generation_keeps_its_replicas(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"deploy:a": [], "deploy:b": []}, services={"a": 1, "b": 1})
    claims = scene.claim_all()
    scene.put("a")
    scene.succeed(claims["deploy:a"])
    scene.fail(claims["deploy:b"])
    record = store.deployments.generation("demo", 1)
    assert record is not None
    assert (record.state, record.retire, record.replicas) == ("failed", False, 1)
    assert store.deployments.stop("demo") == (1,)
    assert scene.state() == "stopping"
    store.registry.drop("demo", 1, "r-a")
    assert scene.state() == "stopped"


def test_losing_a_replica_degrades_and_bringing_it_back_heals(store: Store) -> None:
    scene = Scene(store)
    served(scene)
    store.registry.drop("demo", 1, "r1", "it crashed")
    assert scene.state() == "degraded"
    scene.put("a", replica="r2")
    assert scene.state() == "ready"
    assert scene.put("a", "unready", replica="r2")
    assert scene.state() == "degraded"


def test_a_cancelled_generation_starts_nothing_more(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": []})
    claim = scene.claim()
    assert store.deployments.cancel("demo", 1, "by hand")
    assert not store.deployments.cancel("demo", 1, "by hand")
    assert scene.exchange(limit=5).claims == ()
    assert scene.succeed(claim) == "stale"
    assert scene.state() == "cancelled"
    assert scene.events()[-1] != "deployment.ready"


def test_a_deadline_fails_what_is_left(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []}, deadline_s=5.0)
    record = store.deployments.generation("demo", 1)
    assert record is not None
    assert record.deadline_at is not None
    assert 4.0 < record.deadline_at - record.created_at < 6.0
    assert store.deployments.fail("demo", 1, "its deadline has passed")
    assert scene.state() == "failed"
    assert scene.states() == {"train:a": "cancelled"}


def test_resume_runs_only_what_has_not_succeeded(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": ["train:a"], "train:c": ["train:b"]})
    scene.succeed(scene.claim())
    scene.fail(scene.claim())
    assert scene.state() == "failed"
    assert store.deployments.resume("demo", 1)
    assert scene.states() == {"train:a": "succeeded", "train:b": "queued", "train:c": "waiting"}
    assert scene.run_all() == ["train:b", "train:c"]
    assert scene.state() == "ready"
    assert not store.deployments.resume("demo", 1)


def test_resume_brings_back_a_cancelled_generation(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "join:train": ["train:a"], "eval:a": ["join:train"]})
    scene.claim()
    store.deployments.cancel("demo", 1)
    assert store.deployments.resume("demo", 1)
    assert scene.run_all() == ["train:a", "eval:a"]
    assert scene.state() == "ready"


def test_resume_is_refused_once_a_newer_generation_is_current(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    scene.fail(scene.claim())
    served(scene, 2)
    assert not store.deployments.resume("demo", 1)


def test_a_stopped_generation_can_be_resumed_and_asks_for_its_replicas(store: Store) -> None:
    scene = Scene(store)
    served(scene)
    store.deployments.stop("demo")
    store.registry.drop("demo", 1, "r1")
    assert store.deployments.resume("demo", 1)
    record = store.deployments.generation("demo", 1)
    assert record is not None
    assert (record.state, record.left, record.ready["a"]) == ("progressing", 0, 0)
    scene.put("a", replica="r2")
    assert scene.state() == "ready"


def test_history_expires_with_all_its_keys(store: Store) -> None:
    """Invariant 8: what has ended and serves nothing has a time to live, down to the name."""
    scene = Scene(store)
    scene.submit({"train:a": []}, history_s=100.0)
    scene.run_all()
    client, keys = store.clients.scripts, store.keys
    for key in (keys.name("demo"), keys.generation("demo", 1), keys.events("demo")):
        assert 0 < client.ttl(key) <= 100
    assert 0 < client.ttl(keys.job(store.tasks.of("demo", 1)[0].job_id)) <= 100


def test_scale_changes_what_is_enough(store: Store) -> None:
    scene = Scene(store)
    served(scene)
    assert store.deployments.scale("demo", 1, "a", 2)
    assert scene.state() == "degraded"
    assert store.deployments.scale("demo", 1, "a", 1)
    assert scene.state() == "ready"
    assert not store.deployments.scale("demo", 1, "b", 1)


def test_there_are_never_more_repairs_than_replicas_missing(store: Store) -> None:
    scene = Scene(store)
    served(scene)
    spec = TaskSpec(id="deploy:a", data=b"d", queue=scene.queue)
    assert store.deployments.add_repair("demo", 1, "a", spec=spec, job_id="x-1") is None
    store.registry.drop("demo", 1, "r1", "it crashed")
    assert (
        store.deployments.add_repair("demo", 1, "a", spec=spec, job_id=_repair(store, 1))
        is not None
    )
    assert store.deployments.add_repair("demo", 1, "a", spec=spec, job_id=_repair(store, 2)) is None
    claim = scene.claim()
    assert (claim.task, claim.path) == ("deploy:a", "a")
    scene.put("a", replica="r2")
    scene.succeed(claim)
    record = store.deployments.generation("demo", 1)
    assert record is not None
    assert (record.state, record.repairs, record.left) == ("ready", {}, 0)
    assert store.clients.scripts.ttl(store.keys.job(claim.job_id)) > 0


def test_a_repair_that_fails_leaves_room_for_another(store: Store) -> None:
    scene = Scene(store)
    served(scene)
    store.registry.drop("demo", 1, "r1", "it crashed")
    spec = TaskSpec(id="deploy:a", data=b"d", queue=scene.queue)
    store.deployments.add_repair("demo", 1, "a", spec=spec, job_id=_repair(store, 1))
    scene.fail(scene.claim())
    assert scene.state() == "degraded"
    assert (
        store.deployments.add_repair("demo", 1, "a", spec=spec, job_id=_repair(store, 2))
        is not None
    )


def test_a_train_only_generation_does_not_become_current(store: Store) -> None:
    scene = Scene(store)
    served(scene)
    scene.submit({"train:a": []}, generation=2)
    scene.run_all()
    record = store.deployments.get("demo")
    assert record is not None
    assert (record.current, record.latest) == (1, 2)
    assert [scene.state(generation=n) for n in (1, 2)] == ["ready", "ready"]


def test_what_a_program_owns_stops_with_it(store: Store) -> None:
    scene = Scene(store)
    store.agents.own("program-1", 60_000)
    scene.submit({"train:a": []}, owner="program-1")
    assert store.agents.disown("program-1") == ("demo@1",)
    assert scene.state() == "stopped"


def test_deployments_are_told_newest_first(store: Store) -> None:
    scene = Scene(store)
    for name in ("one", "zwei-ü", "three"):
        scene.submit({"train:a": []}, name=name)
    assert {record.name for record in store.deployments.all()} == {"one", "zwei-ü", "three"}
    assert [each.generation for each in store.deployments.generations("one")] == [1]
    assert store.deployments.get("none") is None


def test_generations_tell_who_submitted_them_how_and_with_what_code(store: Store) -> None:
    scene = Scene(store)
    bundle = "ab" * 32
    store.bundles.put(bundle, b"signed code")
    scene.submit({"train:a": []})
    scene.submit({"train:a": []}, generation=2, by="ana-ü@tower", how="resume", bundle=bundle)
    told = [
        (each.generation, each.by, each.how, each.bundle)
        for each in store.deployments.generations("demo")
    ]
    assert told == [(2, "ana-ü@tower", "resume", bundle), (1, "", "deploy", "")]


def _repair(store: Store, number: int) -> str:
    return f"{store.keys.prefix}-demo-1-r{number}"


def test_what_was_only_prepared_is_stopped_when_a_first_generation_fails(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"prepare:a": [], "train:b": [], "deploy:a": ["train:b"]}, services={"a": 1})
    claims = scene.claim_all()
    scene.put("a", "starting")
    scene.succeed(claims["prepare:a"])
    cursors = store.agents.wait_bell(scene.agent, {}, 1).cursors
    scene.fail(claims["train:b"])
    assert scene.state() == "failed"
    (command,) = store.agents.wait_bell(scene.agent, cursors, 100).commands
    assert command == {"op": "stop_replica", "replica": "r-a", "grace": 0}
    store.registry.drop("demo", 1, "r-a")
    assert store.deployments.active() == []


def test_what_is_stopped_long_after_its_end_keeps_its_name_as_long_as_its_history(
    store: Store,
) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    scene.run_all()
    client, keys = store.clients.scripts, store.keys
    for key in (keys.name("demo"), keys.events("demo")):
        client.expire(key, 10)
    assert store.deployments.stop("demo", 1) == (1,)
    history = client.ttl(keys.generation("demo", 1))
    assert history > 10
    assert client.ttl(keys.name("demo")) == client.ttl(keys.events("demo")) == history


def test_a_prepare_goes_with_a_generation_whose_other_tasks_have_ended(store: Store) -> None:
    scene = Scene(store)
    edges = {"prepare:a": [], "train:a": [], "deploy:a": ["train:a"], "train:b": []}
    scene.submit(edges, services={"a": 1})
    claims = scene.claim_all()
    scene.put("a", "starting")
    scene.succeed(claims["train:a"])
    scene.succeed(scene.claim())
    cursors = store.agents.wait_bell(scene.agent, {}, 1).cursors
    scene.fail(claims["train:b"])
    assert scene.state() == "failed"
    commands = store.agents.wait_bell(scene.agent, cursors, 100).commands
    assert {command["op"] for command in commands} == {"stop_replica", "cancel_job"}
    assert {task.id: str(task.state) for task in store.tasks.of("demo", 1)} == {
        "prepare:a": "cancelled",
        "train:a": "succeeded",
        "deploy:a": "succeeded",
        "train:b": "failed",
    }
