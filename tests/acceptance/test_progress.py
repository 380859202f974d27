"""Trainings that report how far they are, and go on from their checkpoint after a loss."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

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
