"""Why nothing happens, and why something failed: told in words."""

from __future__ import annotations

import pytest

from rootward.orchestrator.status.failure import Failure, explain
from rootward.orchestrator.status.status import (
    EndpointStatus,
    Offer,
    ServiceStatus,
    TaskStatus,
    why_waiting,
)
from rootward.orchestrator.store.rq_compat import PROTOCOL

GPU = {"deploy:r": {"gpu": 2.0}}


def task(state: str = "queued", kind: str = "deploy") -> TaskStatus:
    """Return a task of the root."""
    return TaskStatus(id=f"{kind}:r", kind=kind, module="r", state=state)


def offer(takes_work: bool = True, **resources: float) -> Offer:
    """Return a live worker."""
    return Offer(worker="w", resources=resources, takes_work=takes_work)


def test_without_a_worker_the_reason_says_how_to_start_one() -> None:
    """Whoever waits is told."""
    reason = why_waiting([task()], {}, [])
    assert reason == "deploy:r waits and no worker is running: start one with `rootward worker`"


def test_workers_that_shut_down_are_not_enough() -> None:
    """They take nothing new."""
    assert "shutting down" in (why_waiting([task()], {}, [offer(takes_work=False)]) or "")


def test_workers_of_another_protocol_are_named() -> None:
    """They take jobs of their own version only, and so would never take these."""
    other = Offer(worker="old", resources={}, protocol=PROTOCOL + 1)
    reason = why_waiting([task()], {}, [other]) or ""
    assert f"speaks protocol {PROTOCOL} (old speaks {PROTOCOL + 1})" in reason
    assert why_waiting([task()], {}, [other, offer()]) is None


def test_resources_that_no_worker_has_are_named() -> None:
    """With what the workers do have, and the option that would help."""
    reason = why_waiting([task()], GPU, [offer(gpu=1.0)]) or ""
    for part in ("deploy:r needs gpu=2", "w has gpu=1", "--resource gpu=2"):
        assert part in reason
    trains = {"train:r": {"gpu": 0.5}}
    assert "train:r needs gpu=0.5" in (why_waiting([task(kind="train")], trains, [offer()]) or "")


@pytest.mark.parametrize(
    "tasks",
    [[], [task("waiting")], [task(kind="train")], [task(), task("running")], [task(kind="eval")]],
)
def test_nothing_is_said_while_something_can_happen(tasks: list[TaskStatus]) -> None:
    """A train task needs no resources, and what runs will end."""
    assert why_waiting(tasks, GPU, [offer(gpu=1.0)]) is None


def test_a_service_is_ready_with_one_ready_replica() -> None:
    """The others may come and go."""

    def service(*states: str) -> ServiceStatus:
        endpoints = tuple(
            EndpointStatus(url="u", replica=s, worker="w", state=s, lease_ms=1) for s in states
        )
        return ServiceStatus(service="s", deployment="s", generation=1, endpoints=endpoints)

    assert service("starting", "ready").state == "ready"
    assert service("starting").state == service().state == "unready"


def test_a_failure_says_what_where_and_what_to_do_next() -> None:
    """Task, module, worker, attempt, error, output, consequence and command."""
    failure = Failure(
        task="train:r/a",
        module="r/a",
        worker="w1",
        attempt=2,
        error_type="ValueError",
        message="no\nreally",
        log_tail=("one", "two"),
    )
    assert explain("r", 3, None, [failure], ["train:r"]).splitlines() == [
        "r@3 failed: 1 task failed",
        "train:r/a: module r/a, worker w1, attempt 2",
        "  ValueError: no",
        "  really",
        "  the last of its output:",
        "    one",
        "    two",
        "therefore not started: train:r",
        "when the cause is mended: rootward resume r",
    ]


def test_a_deployment_can_fail_without_a_failed_task() -> None:
    """Then its own reason is told."""
    assert explain("r", 1, "its deadline has passed", [], []).startswith(
        "r@1 failed: its deadline has passed"
    )
