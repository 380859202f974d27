"""What a task leaves running ends with the task, not with the generation."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from rootward import orchestrator
from rootward.modules import ModuleBase
from rootward.orchestrator.settings import Secret, Settings
from rootward.worker import Agent
from rootward.worker.child import process_tree
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(not process_tree.IS_LINUX, reason="the kernel's own part")

ENDS_S = 30.0


def started(*, session: bool, detached: bool, ends: bool = False) -> int:
    """Start a process of this one, or one that its parent has left; return its number."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if session:
            os.setsid()
        if detached and os.fork():
            os._exit(0)
        os.write(writing, str(os.getpid()).encode())
        if not ends:
            threading.Event().wait()
        # A zombie from here on: nobody waits for it.
        os._exit(0)
    if detached:
        os.waitpid(child, 0)
    os.close(writing)
    number = int(os.read(reading, 16))
    os.close(reading)
    return number


class Leaving(ModuleBase):
    """Leaves processes of many kinds, and tells their numbers and its own."""

    def __init__(self, name: str, folder: str, how: str) -> None:
        super().__init__(name=name)
        self.folder, self.how = folder, how

    def _get_train_tasks(self) -> Callable[[], None]:
        return self.train

    def train(self) -> None:
        match self.how:
            case "children":
                left = [started(session=bool(n % 2), detached=False) for n in range(40)]
                left += [started(session=False, detached=False, ends=True) for _ in range(10)]
            case "orphans":
                left = [started(session=bool(n % 2), detached=True) for n in range(10)]
            case _:
                left = []
        text = " ".join(map(str, [os.getpid(), *left]))
        Path(self.folder, self.name).write_text(text)


@pytest.fixture
def client(redis_url: str, prefix: str, secret: str) -> Iterator[orchestrator.Client]:
    settings = Settings(redis_url=redis_url, prefix=prefix, secret=Secret(secret))
    agent = Agent(settings=settings, name="one", slots=1)
    agent.start()
    try:
        with orchestrator.connect(redis_url, secret=secret, prefix=prefix) as client:
            yield client
    finally:
        agent.stop(5)


@pytest.mark.parametrize("how", ["children", "orphans"])
def test_what_a_task_left_running_ends_with_it(
    client: orchestrator.Client, tmp_path: Path, how: str
) -> None:
    client.submit(Leaving("first", str(tmp_path), how), kinds=("train",)).wait(ENDS_S)
    _, *left = map(int, (tmp_path / "first").read_text().split())
    assert left
    wait_until(
        lambda: not any(map(psutil.pid_exists, left)),
        description="all that it left is gone",
        timeout=ENDS_S,
    )


class Several(ModuleBase):
    """Some modules, one after the other."""

    def __init__(self, *parts: Leaving) -> None:
        super().__init__(name="several")
        self.parts = list(parts)


def test_only_what_left_children_costs_its_process(
    client: orchestrator.Client, tmp_path: Path
) -> None:
    """A process that holds those of a task can't be given to the next one."""
    folder = str(tmp_path)
    hows = {"a": "nothing", "b": "orphans", "c": "nothing", "d": "children", "e": "nothing"}
    tree = Several(*(Leaving(name, folder, how) for name, how in hows.items()))
    client.submit(tree, kinds=("train",)).wait(ENDS_S)
    slots = {name: (tmp_path / name).read_text().split()[0] for name in hows}
    order = sorted(hows, key=lambda name: (tmp_path / name).stat().st_mtime_ns)
    until = order.index("d") + 1
    assert {slots[name] for name in order[:until]} == {slots["d"]}
    assert slots["d"] not in {slots[name] for name in order[until:]}
    assert len({slots[name] for name in order[until:]}) <= 1
