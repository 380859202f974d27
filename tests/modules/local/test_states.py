"""What tasks change after a replica was published reaches it, also without Redis."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from rootward.modules import ModuleBase, ServerModule
from rootward.modules.errors import NotPortable
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Constant(ModuleBase):
    """Answers with what it holds, and with its process."""

    def __init__(self) -> None:
        super().__init__(name="constant")
        self.k = 1
        self.lists: list[list[int]] = [[], []]

    def forward(self) -> tuple[int, list[list[int]], int]:
        return self.k, self.lists, os.getpid()


class Root(ModuleBase):
    """Serves a constant, which its own tasks change."""

    def __init__(self, replicas: int = 1) -> None:
        super().__init__(name="root")
        self.constant = Constant()
        self.served = ServerModule(self.constant, replicas=replicas)
        self.on_deploy: Callable[[Root], None] | None = None
        self.on_eval: Callable[[Root], None] | None = None

    def _get_deploy_tasks(self) -> Any:
        return None if self.on_deploy is None else lambda: self.on_deploy(self)  # type: ignore[misc]

    def _get_eval_tasks(self) -> Any:
        return None if self.on_eval is None else lambda: self.on_eval(self)  # type: ignore[misc]


@pytest.fixture
def root() -> Iterator[Root]:
    root = Root(replicas=2)
    yield root
    root.stop()


def set_k(value: int) -> Callable[[Root], None]:
    def change(root: Root) -> None:
        root.constant.k = value

    return change


def answers(root: Root) -> dict[int, tuple[int, list[list[int]]]]:
    """Return what each replica answers, once both have."""
    found: dict[int, tuple[int, list[list[int]]]] = {}

    def ask() -> bool:
        k, lists, pid = root.served()
        found[pid] = (k, lists)
        return len(found) == 2

    wait_until(ask, description="both replicas answer")
    return found


def test_what_an_eval_task_sets_is_in_every_replica_when_update_returns(root: Root) -> None:
    root.on_eval = set_k(5)
    root.update()
    assert {k for k, _ in answers(root).values()} == {5}


def test_what_a_parents_deploy_task_sets_is_in_every_replica(root: Root) -> None:
    root.on_deploy = set_k(7)
    root.start()
    assert {k for k, _ in answers(root).values()} == {7}


def test_changes_arrive_in_order_and_in_a_replica_that_starts_later(root: Root) -> None:
    root.update()
    for value in (2, 3, 4):
        root.on_eval = set_k(value)
        root.eval()
    before = answers(root)
    assert {k for k, _ in before.values()} == {4}
    killed = next(iter(before))
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: root.served()[2] not in before, description="another process answers")
    assert {k for k, _ in answers(root).values()} == {4}


def test_the_eval_task_of_a_part_reaches_what_the_whole_serves(root: Root) -> None:
    root.update()
    part: Any = root.constant
    part._get_eval_tasks = lambda: lambda: setattr(part, "lists", [[1]] * 2)
    part.eval()
    assert {repr(lists) for _, lists in answers(root).values()} == {"[[1], [1]]"}


def test_only_what_a_replica_has_loaded_needs_to_travel(root: Root) -> None:
    root.update()
    root.on_eval = lambda root: setattr(root, "lock", threading.Lock())
    root.eval()
    root.on_eval = lambda root: setattr(root.constant, "lock", threading.Lock())
    with pytest.raises(NotPortable, match="lock"):
        root.eval()
