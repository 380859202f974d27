"""The picture of a moving deployment: rows in the shape of the tree, kept up to date by events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rootward.orchestrator.cli.board import Board
from rootward.orchestrator.cli.view import line_of
from rootward.orchestrator.status.status import EndpointStatus, ServiceStatus, Status, TaskStatus
from rootward.orchestrator.store.records.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterable


def task(task_id: str, state: str = "waiting", **more: Any) -> TaskStatus:
    """One task by its id."""
    kind, _, module = task_id.partition(":")
    return TaskStatus(id=task_id, kind=kind, module=module or None, state=state, **more)


def event(name: str, **more: Any) -> Event:
    """One event of the test's deployment."""
    return Event(id="1-0", event=name, deployment="tree", generation=1, at=100.0, **more)


def status(*tasks: TaskStatus, services: Iterable[ServiceStatus] = ()) -> Status:
    """A picture of the test's deployment."""
    return Status(
        deployment="tree", generation=1, state="progressing", tasks=tasks, services=tuple(services)
    )


def service(path: str, *ready: str, wanted: int = 1) -> ServiceStatus:
    """A served module with some ready replicas."""
    endpoints = tuple(
        EndpointStatus(url=f"http://{r}", replica=r, worker="w1", state="ready", lease_ms=1)
        for r in ready
    )
    return ServiceStatus(
        service=path, deployment="tree", generation=1, wanted=wanted, endpoints=endpoints
    )


def test_rows_have_the_shape_of_the_tree() -> None:
    """The root stands first, and a module without work has a line for what is below it."""
    board = Board(status(task("train:tree/a/x"), task("train:tree/a/y"), task("train:tree/b")))
    assert [row.label for row in board.rows(0.0)] == [
        "tree",
        "|- a",
        "|  |- x",
        "|  └- y",
        "└- b",
    ]
    assert [row.state for row in board.rows(0.0)] == ["", "", "waiting", "waiting", "waiting"]


def test_a_chain_of_thousands_is_no_problem() -> None:
    """Depth is no limit."""
    path, tasks = "tree", []
    for _ in range(3000):
        path += "/a"
        tasks.append(task(f"train:{path}"))
    assert len(Board(status(*tasks)).rows(0.0)) == 3001


@pytest.mark.parametrize(
    ("tasks", "services", "state", "detail"),
    [
        ([task("train:tree", "succeeded"), task("deploy:tree")], [], "waiting", "deploy"),
        ([task("train:tree", "failed"), task("deploy:tree", "skipped")], [], "failed", "train"),
        ([task("train:tree", "running", attempt=2)], [], "running", "train (attempt 2)"),
        ([task("train:tree", "succeeded")], [], "succeeded", ""),
        ([task("deploy:tree", "succeeded")], [service("tree", "r1")], "ready", ""),
        ([task("deploy:tree", "succeeded")], [service("tree")], "unready", ""),
        ([task("deploy:tree", "succeeded")], [service("tree", "r", wanted=3)], "ready", "1/3"),
        ([task("prepare:tree", "running"), task("deploy:tree")], [], "running", "prepare"),
        ([task("prepare:tree", "failed"), task("deploy:tree")], [], "waiting", "deploy"),
    ],
)
def test_one_word_for_a_module(
    tasks: list[TaskStatus], services: list[ServiceStatus], state: str, detail: str
) -> None:
    """Of several tasks the one that matters most is told; a lost warm-up is none of them."""
    (row,) = Board(status(*tasks, services=services)).rows(0.0)
    assert (row.state, row.detail) == (state, detail)


def test_events_move_the_board() -> None:
    """Between two pictures the events alone keep the rows right."""
    board = Board(status(task("train:tree"), task("deploy:tree"), services=[service("tree")]))
    board.see(event("task.started", task="train:tree", worker="w1", attempt=1))
    (row,) = board.rows(103.0)
    assert (row.state, row.detail, row.seconds, row.worker) == ("running", "train", 3.0, "w1")
    board.see(event("task.succeeded", task="train:tree", worker="w1", attempt=1))
    board.see(event("task.lost", task="deploy:tree"))
    assert board.rows(0.0)[0].state == "queued"
    board.see(event("task.started", task="deploy:tree", worker="w2", attempt=2))
    assert board.rows(100.0)[0].detail == "deploy (attempt 2)"
    board.see(event("task.succeeded", task="deploy:tree", worker="w2", attempt=2))
    assert board.rows(100.0)[0].state == "unready"
    board.see(event("replica.ready", path="tree", replica="r1", worker="w2"))
    board.see(event("deployment.ready"))
    assert board.rows(100.0)[0].state == "ready"
    assert board.state == "ready"
    board.see(event("replica.lost", path="tree", replica="r1"))
    assert board.rows(100.0)[0].state == "unready"


def test_what_was_stopped_is_not_called_unready() -> None:
    """Nothing is wrong with it: it was asked to end."""
    board = Board(status(task("deploy:tree", "succeeded"), services=[service("tree")]))
    board.see(event("deployment.stopped"))
    assert board.rows(0.0)[0].state == "stopped"


def test_an_event_of_something_unknown_changes_nothing() -> None:
    """A repair outside the plan, or an event of a later version, is no reason to fall over."""
    board = Board(status(task("train:tree")))
    for each in (
        event("task.started", task="repair:tree"),
        event("task.started", task="train:other"),
        event("replica.ready", path="other"),
        event("never.heard"),
    ):
        board.see(each)
    assert board.rows(0.0)[0].state == "waiting"


def test_lines_of_events_are_plain_text() -> None:
    """In a pipe there is one line for each event, without any control character."""
    line = line_of(
        event("task.failed", task="train:tree", worker="w1", attempt=2, reason="no luck"),
        "tree@1",
        1.5,
    )
    assert line == "    1.50s train:tree failed on w1 attempt 2: no luck"
    assert line_of(event("deployment.ready"), "tree@1", 0).endswith("tree@1 ready")
