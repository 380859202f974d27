"""The processes of a served tree without Redis: none is lost, none is left."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from rootward.modules import ModuleBase, ServerModule
from rootward.modules.errors import CallError, NotPortable, ServeFailed
from tests.support.leaks import MARK, kill_marked, marked_processes
from tests.support.programs import Program
from tests.support.served import Above, BadSetup, Fatal, HangingSetup, Parent, Pid
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIVER = """
import threading
from rootward import ModuleBase, ServerModule
from tests.support.served import Above, Parent, Pid

class Tree(ModuleBase):
    def __init__(self):
        super().__init__(name="tree")
        self.above, self.parent = ServerModule(Above()), ServerModule(Parent())

tree = Tree()
tree.start()
print(*tree.above(), *tree.parent(), flush=True)
threading.Event().wait()
"""


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A mark on every process that the test starts; none may be left."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    yield mark
    try:
        wait_until(lambda: not marked_processes(mark), description="no process is left")
    finally:
        kill_marked(mark)


def test_killed_replica_is_restarted_and_callers_follow(mark: str) -> None:
    tree = ServerModule(Above(), name="top")
    tree.start()
    try:
        above, below = tree()
        os.kill(below, signal.SIGKILL)
        assert tree()[0] == above
        wait_until(lambda: tree()[1] != below, description="another process answers")
        os.kill(above, signal.SIGKILL)
        assert tree()[0] != above
    finally:
        tree.stop()


@pytest.mark.parametrize("which", [0, 1])
def test_killed_template_is_replaced_and_callers_follow(mark: str, which: int) -> None:
    """Its replicas end with it; the generation's template is the parent of a replica."""
    tree = ServerModule(Pid())
    tree.start()
    try:
        first = tree()
        psutil.Process(first).parents()[which].kill()
        wait_until(lambda: tree() != first, description="another process answers")
    finally:
        tree.stop()


def test_update_replaces_and_restart_stops_first(mark: str) -> None:
    tree = ServerModule(Pid())
    tree.update()
    try:
        first = tree()
        tree.update()
        second = tree()
        tree.restart()
        assert len({first, second, tree()}) == 3
        assert not psutil.pid_exists(first)
    finally:
        tree.stop()


def test_fixed_port_is_replaced_stop_then_start(mark: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tree = ServerModule(Pid(), port=port)
    tree.update()
    try:
        first = tree()
        tree.update()
        assert tree() != first
        assert tree._runtime is not None
        assert tree._runtime.routes is not None
        assert tree._runtime.routes.endpoints("servermodule")[0].url.endswith(f":{port}")
    finally:
        tree.stop()


def test_taken_port_is_told(mark: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeFailed, match=f"port {port} is taken"):
            ServerModule(Pid(), port=port).start()


def test_setup_that_raises_is_told_with_its_last_lines(mark: str) -> None:
    with pytest.raises(ServeFailed, match=r"FileNotFoundError: weights\.bin") as caught:
        ServerModule(BadSetup(), name="bad").start()
    assert "reading the weights" in caught.value.log_tail
    assert "served.py" in caught.value.log_tail
    assert caught.value.path == "bad"


def test_setup_that_hangs_ends_at_the_time_out(mark: str) -> None:
    with pytest.raises(ServeFailed, match="not ready within 2 s") as caught:
        ServerModule(HangingSetup(), startup_timeout=2).start()
    assert "waiting for a licence" in caught.value.log_tail


def test_failed_module_leaves_the_others_up(mark: str) -> None:
    class Both(ModuleBase):
        def __init__(self) -> None:
            super().__init__()
            self.good, self.bad = ServerModule(Pid()), ServerModule(BadSetup())

    tree = Both()
    with pytest.raises(ServeFailed):
        tree.start()
    try:
        assert tree.good() > 0
    finally:
        tree.stop()


def test_attribute_that_can_not_travel_is_named(mark: str) -> None:
    import threading

    module = Pid()
    module.lock = threading.Lock()
    with pytest.raises(NotPortable, match="lock"):
        ServerModule(module).start()


def test_call_that_ends_its_replica_is_not_repeated_for_ever(mark: str) -> None:
    tree = ServerModule(Fatal(), repeatable=False)
    tree.start()
    try:
        with pytest.raises(CallError, match="isn't repeatable"):
            tree(die=True)
        assert tree(die=False) == "alive"
    finally:
        tree.stop()


def test_stop_takes_along_what_a_replica_started(mark: str) -> None:
    tree = ServerModule(Parent())
    tree.start()
    _, child = tree()
    assert psutil.pid_exists(child)
    tree.stop()
    assert marked_processes(mark) == []


def test_killed_replica_takes_along_what_it_started(mark: str) -> None:
    tree = ServerModule(Parent())
    tree.start()
    try:
        replica, child = tree()
        os.kill(replica, signal.SIGKILL)
        wait_until(lambda: not psutil.pid_exists(child), description="its child has gone too")
    finally:
        tree.stop()


def test_wait_returns_when_it_is_stopped(mark: str) -> None:
    import threading

    tree = ServerModule(Pid())
    tree.start()
    waiting = threading.Thread(target=tree.wait)
    waiting.start()
    assert waiting.is_alive()
    tree.stop()
    waiting.join(10)
    assert not waiting.is_alive()


@pytest.mark.parametrize("stopped", ["none", "replica", "templates"])
def test_killed_program_leaves_nothing(mark: str, tmp_path: Path, stopped: str) -> None:
    """Also when a replica or the templates are stopped, and with processes of the user's."""
    root = str(tmp_path.cwd())
    environ = {"PYTHONPATH": root}
    command = [sys.executable, "-c", DRIVER]
    with Program(command, folder=tmp_path, environ=environ) as driver:

        def told() -> list[str]:
            return driver.stdout.split()

        pids = wait_until(told, description="the tree is served", timeout=20)[-4:]
        if stopped == "replica":
            os.kill(int(pids[0]), signal.SIGSTOP)
        if stopped == "templates":
            replica = psutil.Process(int(pids[0]))
            for template in replica.parents()[:2]:
                template.suspend()
        assert len(marked_processes(mark)) >= 7
        driver.process.kill()
        driver.wait(5)
        wait_until(lambda: not marked_processes(mark), description="no process is left")


def test_program_that_ends_leaves_nothing(mark: str, tmp_path: Path) -> None:
    code = DRIVER.replace("threading.Event().wait()", "")
    environ = {"PYTHONPATH": str(tmp_path.cwd())}
    with Program([sys.executable, "-c", code], folder=tmp_path, environ=environ) as driver:
        assert driver.wait(30) == 0, driver.report()
    assert marked_processes(mark) == []


class Gated(ModuleBase):
    """Answers when a file is there, or at once."""

    def forward(self, gate: str = "") -> int:
        if gate:
            Path(f"{gate}.begun").touch()
            wait_until(Path(gate).exists, description="the gate opens", timeout=60)
        return os.getpid()


def test_call_outlives_the_replica_that_is_replaced_under_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rootward.modules.local.service._DRAIN_S", 0.0)
    module = ServerModule(Gated(), name="gated")
    module.update()
    try:
        before, gate, answers = module(), tmp_path / "gate", list[int]()
        call = threading.Thread(target=lambda: answers.append(module(str(gate))))
        call.start()
        wait_until((tmp_path / "gate.begun").exists, description="the call has begun")
        update = threading.Thread(target=module.update)
        update.start()
        wait_until(lambda: module() != before, description="the new one serves")
        gate.touch()
        call.join(20)
        update.join(20)
        assert answers == [before]
    finally:
        module.stop()
