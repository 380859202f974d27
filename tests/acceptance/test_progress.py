"""Trainings that report how far they are, and go on from their checkpoint after a loss."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Network

APP = """
import os
import time
from pathlib import Path

import rootward


class Trainer(rootward.ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        checkpoint = rootward.workspace() / "epoch"
        begin = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for epoch in range(begin, 6):
            checkpoint.write_text(str(epoch))
            rootward.progress(epoch, 6, f"epoch {epoch}", loss=1 / (epoch + 1))
            if epoch == 3 and rootward.attempt() == 1:
                Path("at_half").write_text(f"{os.getpid()} {os.getppid()}")
                time.sleep(600)
        rootward.progress(6, 6, "done", loss=0.1)
        self.result = (begin, rootward.attempt())

    def forward(self):
        return self.result


tree = rootward.ServerModule(Trainer(name="trainer"), name="app")
"""


LEAVING = """
import time
from pathlib import Path

import rootward


class Trainer(rootward.ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        checkpoint = rootward.workspace() / "step"
        begin = int(checkpoint.read_text()) if checkpoint.exists() else 0
        HANDLER
        for step in range(begin, 20):
            checkpoint.write_text(str(step))
            Path(f"begun-{rootward.attempt()}").touch()
            while step == 7 and not Path("gate").exists():
                if rootward.stopping():
                    END
                time.sleep(0.01)
        self.result = (begin, rootward.attempt())

    def forward(self):
        return self.result


tree = Trainer(name="app")
"""


def task_of(network: Network) -> dict[str, Any]:
    ended = run(rootward("status", "app", "--json"), folder=network.folder, environ=network.environ)
    tasks = json.loads(ended.stdout)["tasks"] if ended.process.returncode == 0 else []
    return next((task for task in tasks if task["kind"] == "train"), {})


def test_a_training_shows_its_progress_and_goes_on_where_its_process_was_lost(
    network: Network, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(APP)
    network.more["ROOTWARD_WORKSPACE"] = str(tmp_path / "work")
    network.worker("--slots", "1")
    command = rootward("deploy", "app.py:tree")
    with Program(command, folder=tmp_path, environ=network.environ) as deploy:
        half = tmp_path / "at_half"
        wait_until(half.exists, description="the training is at half time", timeout=30)
        shown = wait_until(
            lambda: (
                (task_of(network).get("progress") or {}).get("text") == "epoch 3"
                and task_of(network)
            ),
            description="its progress is shown",
            timeout=20,
        )
        assert shown["state"] == "running"
        assert shown["progress"]["done"] == 3
        assert shown["progress"]["total"] == 6
        assert shown["progress"]["figures"] == {"loss": 0.25}
        os.kill(int(half.read_text().split()[0]), signal.SIGKILL)
        assert deploy.wait(60) == 0, deploy.report()
    program = "import rootward; print(rootward.connect().gateway.call('app'))"
    called = run([sys.executable, "-c", program], folder=tmp_path, environ=network.environ)
    assert called.stdout.strip() == "(3, 2)", called.report()
    task = task_of(network)
    assert (task["state"], task["attempt"]) == ("succeeded", 2)
    assert task["progress"]["text"] == "done", "the last report stays with the task"


@pytest.mark.parametrize("end", ["return", "raise SystemExit", "time.sleep(600)"])
def test_a_task_whose_worker_leaves_saves_and_goes_on_elsewhere_uncounted(
    network: Network, tmp_path: Path, end: str
) -> None:
    source = LEAVING.replace("END", end).replace(
        "HANDLER", "rootward.on_stopping(lambda: Path('handled').touch())"
    )
    (tmp_path / "app.py").write_text(source)
    network.more["ROOTWARD_WORKSPACE"] = str(tmp_path / "work")
    first = network.worker("--name", "w1", "--drain-tasks", "5")
    command = rootward("deploy", "app.py:tree")
    with Program(command, folder=tmp_path, environ=network.environ) as deploy:
        step = tmp_path / "work" / "app" / "app" / "step"
        wait_until(
            lambda: step.exists() and step.read_text() == "7", description="it waits", timeout=30
        )
        network.worker("--name", "w2")
        assert first.stop() == 0, first.report()
        assert "SIGKILL" not in first.stderr
        assert "this worker is leaving" in first.stderr
        (tmp_path / "gate").touch()
        assert deploy.wait(60) == 0, deploy.report()
    assert (tmp_path / "handled").exists()
    task = task_of(network)
    assert (task["state"], task["attempt"], task["worker"]) == ("succeeded", 1, "w2")
    told = run(rootward("events", "app"), folder=tmp_path, environ=network.environ).stdout
    assert "w1 is leaving" in told
    assert "lost" not in told


def test_tasks_may_take_as_long_as_the_environment_says_for_calls(
    network: Network, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(LEAVING.replace("HANDLER", "").replace("END", "pass"))
    network.more |= {
        "ROOTWARD_WORKSPACE": str(tmp_path / "work"),
        "ROOTWARD_DRAIN_SECONDS": "60",
    }
    worker = network.worker("--name", "w1")
    command = rootward("deploy", "app.py:tree")
    with Program(command, folder=tmp_path, environ=network.environ) as deploy:
        wait_until((tmp_path / "begun-1").exists, description="it has begun", timeout=30)
        worker.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "waiting for 1 tasks" in worker.stderr, description="it drains")
        (tmp_path / "gate").touch()
        assert worker.wait(30) == 0, worker.report()
        network.worker("--name", "w2")
        assert deploy.wait(60) == 0, deploy.report()
    assert task_of(network)["attempt"] == 1


STEPS = """
import os
import signal
from pathlib import Path

import rootward


class Trainer(rootward.ModuleBase):
    def __init__(self):
        super().__init__(name="app")
        self.done = []

    def _get_train_tasks(self):
        return [self.first, self.second, self.third]

    def first(self):
        Path("ran").open("a").write("first ")
        self.done.append("first")
        self.handle = open("ran")

    def second(self):
        Path("ran").open("a").write("second ")
        self.handle.close()
        del self.handle
        self.done = [*self.done, "second"]

    def third(self):
        Path("ran").open("a").write("third ")
        if not Path("again").exists():
            Path("again").touch()
            END
        self.done.append("third")

    def forward(self):
        return self.done


tree = rootward.ServerModule(Trainer(), name="served")
"""


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "raise OSError('no')"])
def test_what_has_ended_of_a_list_of_callables_is_not_done_again(
    network: Network, tmp_path: Path, end: str
) -> None:
    """The end of `first` can't be kept: an open file doesn't travel. That of `second` can."""
    (tmp_path / "app.py").write_text(STEPS.replace("END", end))
    network.worker("--slots", "2")
    command = rootward("deploy", "app.py:tree", "--retries", "1")
    deployed = run(command, folder=tmp_path, environ=network.environ, timeout=60)
    assert deployed.process.returncode == 0, deployed.report()
    assert (tmp_path / "ran").read_text() == "first second third third "
    called = run(
        rootward("gateway", "call", "served", "--args", "[]"),
        folder=tmp_path,
        environ=network.environ,
    )
    assert json.loads(called.stdout) == ["first", "second", "third"], called.report()
