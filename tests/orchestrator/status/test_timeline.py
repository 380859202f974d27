"""When tasks waited and ran, and the chain that decided how long all of it took."""

from __future__ import annotations

from typing import Any

from rootward.orchestrator.status.status import Status, TaskStatus
from rootward.orchestrator.status.timeline import Timeline, make_timeline

AFTER = {
    "train:t": ("train:t/a", "train:t/b"),
    "join:train": ("train:t",),
    "deploy:t": ("join:train",),
}


def task(
    task_id: str, *, queued: float, began: float, ended: float | None, **more: Any
) -> TaskStatus:
    kind, _, module = task_id.partition(":")
    state = "running" if ended is None else "succeeded"
    known: dict[str, Any] = {"state": state, "attempt": 1, "worker": "w", **more}
    return TaskStatus(
        id=task_id,
        kind=kind,
        module=None if kind == "join" else module,
        queued_at=queued,
        started_at=None if kind == "join" else began,
        ended_at=ended,
        **known,
    )


def timeline(*tasks: TaskStatus, now: float = 100.0) -> Timeline:
    status = Status(
        deployment="t", generation=1, state="progressing", created_at=0.0, tasks=tuple(tasks)
    )
    return make_timeline(status, AFTER, now)


def whole() -> Timeline:
    return timeline(
        task("train:t/a", queued=0.0, began=1.0, ended=5.0),
        task("train:t/b", queued=0.0, began=1.0, ended=9.0),
        task("train:t", queued=9.0, began=10.0, ended=14.0),
        task("join:train", queued=14.0, began=14.0, ended=14.0),
        task("deploy:t", queued=14.0, began=14.5, ended=15.0),
    )


def test_a_task_waits_for_those_before_it_then_for_a_slot() -> None:
    """The barrier falls when the last of them has ended; what follows is the queue's."""
    step = whole().by_id["train:t"]
    assert (step.released_at, step.barrier_s, step.queue_s, step.run_s) == (9.0, 9.0, 1.0, 4.0)
    first = whole().by_id["train:t/a"]
    assert (first.released_at, first.barrier_s, first.queue_s) == (0.0, 0.0, 1.0)


def test_the_critical_path_goes_through_what_ended_last() -> None:
    """Joins belong to nobody and are left out of it."""
    found = whole()
    assert [step.task.id for step in found.critical] == ["train:t/b", "train:t", "deploy:t"]
    assert found.makespan_s == 15.0
    assert found.work_s == 4.0 + 8.0 + 4.0 + 0.5
    assert [step.task.id for step in found.slowest(1)] == ["train:t/b"]


def test_tasks_that_overlap_on_a_worker_have_slots_of_their_own() -> None:
    """One after another they share the lowest."""
    found = whole()
    slots = [found.by_id[id_].slot for id_ in ("train:t/a", "train:t/b", "train:t", "deploy:t")]
    assert slots == [0, 1, 0, 0]
    assert found.slots_used == {"w": 2}


def test_what_runs_or_waits_is_counted_up_to_now() -> None:
    """An unfinished generation has a timeline too."""
    found = timeline(
        task("train:t/a", queued=0.0, began=1.0, ended=5.0),
        task("train:t/b", queued=0.0, began=2.0, ended=None),
        TaskStatus(id="train:t", kind="train", module="t", state="waiting"),
        now=8.0,
    )
    assert found.by_id["train:t/b"].run_s == 6.0
    waiting = found.by_id["train:t"]
    assert (waiting.released_at, waiting.barrier_s, waiting.queue_s) == (None, 8.0, None)
    assert found.makespan_s == 8.0


def test_earlier_attempts_are_no_waiting_for_a_slot() -> None:
    """What went into them is told apart from the queue."""
    step = timeline(
        task("train:t/a", queued=6.0, began=7.0, ended=9.0, attempt=2),
    ).by_id["train:t/a"]
    assert (step.earlier_s, step.queue_s, step.run_s) == (6.0, 1.0, 2.0)


def test_the_document_names_the_critical_path() -> None:
    """`analyze --json` and the API print it."""
    document = whole().to_json()
    assert document["critical_path"][0]["id"] == "train:t/b"
    assert {task["id"] for task in document["tasks"]} == set(whole().by_id) - {"join:train"}
