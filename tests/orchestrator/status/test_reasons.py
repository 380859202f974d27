"""Why something is in its state, told of a timeline; and what would make it quicker."""

from __future__ import annotations

from typing import Any

from rootward.orchestrator.status.advice import advise
from rootward.orchestrator.status.reasons import blockers, why_deployment, why_module
from rootward.orchestrator.status.status import EndpointStatus, ServiceStatus, Status, TaskStatus
from rootward.orchestrator.status.timeline import Timeline, make_timeline

AFTER = {
    "train:t": ("train:t/a", "train:t/b"),
    "join:train": ("train:t",),
    "deploy:t": ("join:train",),
}


def task(task_id: str, state: str, **more: Any) -> TaskStatus:
    kind, _, module = task_id.partition(":")
    return TaskStatus(
        id=task_id, kind=kind, module=None if kind == "join" else module, state=state, **more
    )


def timeline(
    *tasks: TaskStatus, state: str = "progressing", services: tuple[ServiceStatus, ...] = ()
) -> Timeline:
    status = Status(
        deployment="t",
        generation=1,
        state=state,
        created_at=0.0,
        tasks=tasks,
        services=services,
    )
    return make_timeline(status, AFTER, 100.0)


def waiting(*first: TaskStatus) -> Timeline:
    rest = [task(id_, "waiting") for id_ in ("train:t", "join:train", "deploy:t")]
    return timeline(*first, *rest)


RUNNING = task("train:t/a", "running", worker="w1", started_at=40.0, attempt=1)
DONE = task("train:t/b", "succeeded", started_at=1.0, ended_at=2.0, worker="w1")


def test_what_waits_is_traced_to_what_runs() -> None:
    """Through tasks that wait themselves, and joins, which aren't named."""
    found = waiting(RUNNING, DONE)
    assert [each.id for each in blockers(found, "deploy:t")] == ["train:t/a"]
    text = "\n".join(why_deployment(found))
    assert "t@1 is progressing (1 of 4 tasks have succeeded)" in text
    assert "train:t/a on w1 for 1 min" in text
    assert "deploy:t waits for train:t/a (running)" in text
    assert "join" not in text


def test_queued_tasks_say_whether_anything_runs() -> None:
    """A slot is missing, or a worker."""
    queued = task("train:t/b", "queued", queued_at=90.0)
    assert any("free slot" in line for line in why_deployment(waiting(RUNNING, queued)))
    assert any("no worker has taken" in line for line in why_deployment(waiting(queued)))
    (_, line) = why_module(waiting(RUNNING, queued), "t/b")
    assert line == "  train queued for 10 s: it waits for a free slot"


def test_a_failure_is_told_with_what_was_therefore_left_out() -> None:
    """The user's own words, on one line."""
    failed = task(
        "train:t/a", "failed", worker="w", error={"type": "ValueError", "message": "a\nb"}
    )
    skipped = [task("deploy:t", "skipped", reason="train:t/a failed")]
    lines = why_deployment(timeline(failed, *skipped, state="failed"))
    assert "  train:t/a on w: ValueError: a" in lines
    assert "skipped: deploy:t: train:t/a failed" in lines
    assert why_module(timeline(failed), "t/a")[1] == "  train failed: ValueError: a"


def test_missing_replicas_say_what_ails_them() -> None:
    """Of a degraded deployment each that isn't ready."""
    endpoint = EndpointStatus(
        url="", replica="r", worker="w", state="unready", lease_ms=1, reason="no answer for 2.5 s"
    )
    service = ServiceStatus(
        service="t", deployment="t", generation=1, wanted=2, endpoints=(endpoint,)
    )
    lines = why_deployment(timeline(DONE, state="degraded", services=(service,)))
    assert "t: 0 of 2 replicas are ready" in lines
    assert "  a replica on w is unready: no answer for 2.5 s" in lines


def ran(task_id: str, queued: float, began: float, ended: float) -> TaskStatus:
    return task(
        task_id,
        "succeeded",
        attempt=1,
        worker="w",
        queued_at=queued,
        started_at=began,
        ended_at=ended,
    )


def test_waiting_for_slots_asks_for_more_of_them() -> None:
    """With the figures."""
    found = timeline(ran("train:t/a", 0, 1, 5), ran("train:t/b", 0, 6, 10))
    (sentence,) = advise(found, 1)
    assert "6.0 s of 10.0 s went into waiting for a free slot" in sentence
    assert "1 slots now" in sentence


def test_one_long_task_is_named() -> None:
    """It alone decides how long all of it takes."""
    found = timeline(ran("train:t/a", 0, 0, 9), ran("train:t/b", 0, 0, 1), ran("train:t", 9, 9, 10))
    (sentence,) = advise(found, 4)
    assert "train:t/a ran for 9.0 s of 10.0 s" in sentence


def test_what_is_as_quick_as_it_can_be_gets_no_advice() -> None:
    """Nor does what took no time."""
    even = [ran(f"train:t/{name}", 0, 0, 5) for name in "ab"]
    assert advise(timeline(*even, ran("train:t", 5, 5, 10)), 4) == []
    assert advise(timeline(ran("train:t/a", 0, 0, 0.1)), 4) == []
