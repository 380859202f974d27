"""A generation that begins with what an earlier one has done: tasks, states, barriers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from rootward.orchestrator.errors import IncompleteSubmission
from tests.support.scenes import Scene

if TYPE_CHECKING:
    from rootward.orchestrator.store.records import Submission
    from rootward.orchestrator.store.store import Store

TREE = {
    "train:a": [],
    "train:root": ["train:a"],
    "join:train": ["train:root"],
    "deploy:root": ["join:train"],
}


def taken(scene: Scene, done: set[str], *states: bytes, **options: Any) -> Submission:
    """Return a submission of TREE of which some tasks are done before it begins."""
    number = scene.store.deployments.reserve("demo", repr((done, states))).generation
    submission = scene.submission(TREE, "demo", number, states=states, source=1, **options)
    tasks = []
    for task in submission.tasks:
        before = [each for each in TREE[task.id] if each not in done]
        is_done = task.id in done
        tasks.append(replace(task, is_done=is_done, wait=0 if is_done else len(before)))
    return replace(submission, tasks=tuple(tasks))


def test_a_task_that_is_done_never_runs_and_holds_up_nobody(store: Store) -> None:
    scene = Scene(store)
    store.deployments.create(taken(scene, {"train:a"}, b"of a"))
    assert scene.states() == {
        "train:a": "succeeded",
        "train:root": "queued",
        "join:train": "waiting",
        "deploy:root": "waiting",
    }
    claim = scene.claim()
    assert (claim.task, claim.offset, list(claim.states)) == ("train:root", 1, [b"of a"])
    scene.succeed(claim)
    scene.succeed(scene.claim())
    assert scene.state() == "ready"
    assert scene.exchange(limit=5).claims == ()


def test_with_all_trainings_done_the_deploys_begin_at_once(store: Store) -> None:
    scene = Scene(store)
    store.deployments.create(taken(scene, {"train:a", "train:root"}, b"of a", b"of root"))
    claim = scene.claim()
    assert (claim.task, list(claim.states)) == ("deploy:root", [b"of a", b"of root"])
    record = store.deployments.generation("demo", 1)
    assert record is not None
    assert (record.left, record.source) == (1, 1)


def test_a_plan_of_which_all_is_done_is_ready_at_once(store: Store) -> None:
    scene = Scene(store)
    store.deployments.create(taken(scene, set(TREE) - {"join:train"}, b"of a"))
    assert scene.state() == "ready"
    assert store.deployments.active() == []


def test_a_log_of_many_states_arrives_whole_and_in_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rootward.orchestrator.store.deployments.STATES_BYTES", 10)
    scene = Scene(store)
    states = [b"%d" % number for number in range(2500)] + [b"longer than ten"]
    store.deployments.create(taken(scene, {"train:a"}, *states))
    assert store.tasks.states("demo", 1) == states


def test_staged_states_are_seen_by_nobody_and_stored_once(store: Store) -> None:
    scene = Scene(store)
    submission = taken(scene, {"train:a"}, b"of a", b"more")
    key = store.keys.part("demo", 1, "states")
    keys = [key, store.keys.generation("demo", 1)]
    for _ in range(2):
        assert store.scripts.run("stage_states", keys, [600, 0, b"of a", b"more"]) == 1
    assert store.scripts.run("stage_states", keys, [600, 5, b"other"]) == 0
    assert 0 < store.clients.scripts.ttl(key) <= 600
    assert store.deployments.get("demo") is None
    store.deployments.create(submission)
    store.deployments.create(submission)
    assert store.tasks.states("demo", 1) == [b"of a", b"more"]
    assert store.clients.scripts.ttl(key) == -1


def test_a_submission_whose_states_are_not_all_there_is_refused_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(store)
    submission = taken(scene, {"train:a"}, b"of a", b"more")
    monkeypatch.setattr(type(store.deployments), "_stage_states", lambda *_: None)
    with pytest.raises(IncompleteSubmission, match="submit it again"):
        store.deployments.create(submission)
    assert store.deployments.generation("demo", 1) is None


def test_a_done_task_stays_done_when_the_generation_is_resumed(store: Store) -> None:
    scene = Scene(store)
    store.deployments.create(taken(scene, {"train:a"}, b"of a"))
    scene.fail(scene.claim())
    assert scene.state() == "failed"
    assert store.deployments.resume("demo", 1)
    assert scene.states()["train:a"] == "succeeded"
    assert scene.run_all() == ["train:root", "deploy:root"]
    assert scene.state() == "ready"
