"""One import package: nothing collides with the names of a project's own folders and files."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Network

APP = """
import modules.sizes
import orchestrator
import worker
from rootward import ModuleBase, ServerModule
from tests import words


class Shout(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        self.mark = worker.MARK * modules.sizes.COUNT

    def forward(self, text):
        return orchestrator.join(text.upper(), self.mark, words.END)


tree = ServerModule(Shout(), name="shout")
tree.evalset(["a"])

if __name__ == "__main__":
    tree.update()
    print(tree("hello"), tree.eval_result)
    tree.stop()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has a folder or file for each name that a part of rootward has."""
    files = {
        "modules/__init__.py": "",
        "modules/sizes.py": "COUNT = 2\n",
        "tests/__init__.py": "",
        "tests/words.py": "END = '.'\n",
        "worker.py": "MARK = '!'\n",
        "orchestrator.py": "def join(*parts):\n    return ''.join(parts)\n",
        "app.py": APP,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_project_with_our_parts_names_runs_as_a_program(project: Path) -> None:
    ended = run([sys.executable, "app.py"], folder=project)
    assert ended.process.returncode == 0, ended.report()
    assert ended.stdout.split() == ["HELLO!!.", "['A!!.']"]


def test_a_project_with_our_parts_names_runs_as_a_program_on_workers(
    project: Path, network: Network
) -> None:
    network.worker()
    ended = run([sys.executable, "app.py"], folder=project, environ=network.environ)
    assert ended.process.returncode == 0, ended.report()
    assert "HELLO!!." in ended.stdout


@pytest.mark.parametrize("target", ["app.py:tree", "app:tree"])
def test_a_project_with_our_parts_names_is_planned_and_run(project: Path, target: str) -> None:
    planned = run([sys.executable, "-m", "rootward", "plan", target, "--json"], folder=project)
    assert planned.process.returncode == 0, planned.report()
    assert "train:shout/m" in {task["id"] for task in json.loads(planned.stdout)["tasks"]}
    up = run(rootward("up", target, "--once", "--json"), folder=project)
    assert up.process.returncode == 0, up.report()
    assert "A!!." in up.stdout


@pytest.mark.parametrize("target", ["app.py:tree", "app:tree"])
def test_a_project_with_our_parts_names_is_deployed_and_called(
    project: Path, network: Network, target: str
) -> None:
    network.worker()
    deployed = run(
        rootward("deploy", target, "--name", "mine"), folder=project, environ=network.environ
    )
    assert deployed.process.returncode == 0, deployed.report()
    called = run(
        rootward("gateway", "call", "mine", '"b"'), folder=project, environ=network.environ
    )
    assert called.stdout.strip() == '"B!!."', called.report()
    for command in (("status", "mine"), ("logs", "mine"), ("doctor",), ("stop", "mine")):
        ended = run(rootward(*command), folder=project, environ=network.environ)
        assert ended.process.returncode == 0, ended.report()


def test_a_worker_in_such_a_project_starts(project: Path, network: Network) -> None:
    command = [sys.executable, "-m", "rootward", "worker", "--name", "inside"]
    with Program(command, folder=project, environ=network.environ) as worker:
        wait_until(
            lambda: (
                "inside" in run(rootward("workers"), folder=project, environ=network.environ).stdout
            ),
            description="the worker is listed",
        )
        assert worker.stop() == 0, worker.report()


def test_nothing_of_ours_is_imported_under_a_bare_name(tmp_path: Path) -> None:
    program = (
        "import sys, rootward\n"
        "from rootward import Client, ModuleBase, connect\n"
        "import rootward.worker, rootward.orchestrator.cli.root\n"
        "rootward.module_register.new_group('verses')\n"
        "assert rootward.verses is rootward.modules.verses\n"
        "print(sorted({'modules', 'orchestrator', 'worker'} & set(sys.modules)))\n"
        "print([name for name in rootward.__all__ if not hasattr(rootward, name)])\n"
    )
    ended = run([sys.executable, "-P", "-c", program], folder=tmp_path)
    assert ended.stdout.splitlines() == ["[]", "[]"], ended.report()
