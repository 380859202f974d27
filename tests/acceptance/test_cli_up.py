"""The command `rootward up` as a user types it: real processes, a private server, nothing left.

Each test has a folder for runs of its own, so that no other `up` on the machine is found by
mistake, and so that what stays behind is seen.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.leaks import is_alive
from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

TREE = """
from rootward import ModuleBase, ServerModule


class Adder(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        print("learned to add")
        self.amount = 2

    def forward(self, number):
        if number is None:
            raise ValueError("that is no number")
        return number + self.amount


class Tens(ModuleBase):
    def __init__(self):
        super().__init__()
        self.adder = ServerModule(Adder(), name="adder")
        self.adder.evalset([1, 2, 3], collect_f=sum)

    def forward(self, number):
        return self.adder(number) * 10


tree = ServerModule(Tens(), name="tens")
tree.evalset([1], collect_f=lambda results: results[0] / 60)
"""

BROKEN = """
from rootward import ModuleBase, ServerModule


class Broken(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        print("about to fail")
        raise RuntimeError("the weights are gone")


class Root(ModuleBase):
    def __init__(self):
        super().__init__()
        self.broken = Broken()

    def forward(self, value):
        return value


tree = ServerModule(Root(), name="top")
"""
START_TIMEOUT_S = 40.0


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of all runs of this test, with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="rw") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture
def folder(tmp_path: Path, runs: Path) -> Path:
    """A folder with trees to deploy."""
    (tmp_path / "tree.py").write_text(TREE)
    (tmp_path / "broken.py").write_text(BROKEN)
    return tmp_path


def ready(program: Program) -> bool:
    """Whether it has said that everything runs."""
    assert program.is_running, program.report()
    return "Ctrl-C stops all of it" in program.stderr


def test_up_once_prints_the_result_and_leaves_nothing(folder: Path, runs: Path) -> None:
    """Deployed, evaluated, printed, stopped: no process and no file stays (what must hold: 5)."""
    done = run(rootward("up", "tree.py:tree", "--once"), folder=folder)
    assert done.process.returncode == 0, done.report()
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["tens/m/adder", "12"] in lines
    assert ["tens", "0.5"] in lines
    assert any(line[:2] == ["tens", "ready"] for line in lines)
    assert list(runs.iterdir()) == []
    assert {path.name for path in folder.iterdir()} <= {
        "tree.py", "broken.py", "__pycache__", "run.stdout", "run.stderr",
    }  # fmt: skip


def test_up_once_as_json_is_one_document(folder: Path) -> None:
    """Standard output holds the status with what was evaluated, and nothing else."""
    done = run(rootward("up", "tree.py:tree", "--once", "--json"), folder=folder)
    assert done.process.returncode == 0, done.report()
    document = json.loads(done.stdout)
    assert document["state"] == "ready"
    assert document["eval"]["tens"] == 0.5
    assert {service["state"] for service in document["services"]} == {"ready"}


def test_up_is_found_by_the_users_other_commands(folder: Path, runs: Path) -> None:
    """Without REDIS_URL they find it by its state file; Ctrl-C ends all of it with 130."""
    with Program(rootward("up", "tree.py:tree"), folder=folder, name="up") as up:
        wait_until(lambda: ready(up), description="up is ready", timeout=START_TIMEOUT_S)

        def ask(*arguments: str, code: int = 0) -> str:
            done = run(rootward(*arguments), folder=folder)
            assert done.process.returncode == code, done.report()
            return done.stdout

        status = json.loads(ask("status", "tens", "--json"))
        assert status["state"] == "ready"
        # A warm-up is skipped when the work itself has begun.
        work = [task["state"] for task in status["tasks"] if task["kind"] != "prepare"]
        assert set(work) == {"succeeded"}
        services = json.loads(ask("gateway", "list", "--json"))
        assert [service["state"] for service in services] == ["ready", "ready"]
        assert json.loads(ask("gateway", "call", "tens", "4")) == 60
        assert (
            "that is no number"
            in run(rootward("gateway", "call", "tens", "null"), folder=folder).stderr
        )
        assert "learned to add" in ask("logs", "tens")
        assert "deployment.ready" in ask("events", "tens", "--json")
        assert "tens@1" in ask("deployments")
        assert len(json.loads(ask("workers", "--json"))) == 1
        ask("doctor")
        (state_file,) = runs.glob("rootward/*/up.json")
        assert state_file.stat().st_mode & 0o777 == 0o600
        assert up.stop(signal.SIGINT) == 130
    assert list(runs.iterdir()) == []
    assert run(rootward("status"), folder=folder).process.returncode == 3


def test_up_ends_when_its_deployment_is_stopped(folder: Path, runs: Path) -> None:
    """`rootward stop` from another terminal leaves nothing to stay for."""
    with Program(rootward("up", "tree.py:tree"), folder=folder, name="up") as up:
        wait_until(lambda: ready(up), description="up is ready", timeout=START_TIMEOUT_S)
        done = run(rootward("stop", "tens"), folder=folder)
        assert done.process.returncode == 0, done.report()
        assert up.wait(20) == 0
    assert list(runs.iterdir()) == []


def test_up_stays_for_a_newer_generation(folder: Path, runs: Path) -> None:
    """Deploying again from another terminal replaces what runs and doesn't end `up`."""
    with Program(rootward("up", "tree.py:tree"), folder=folder, name="up") as up:
        wait_until(lambda: ready(up), description="up is ready", timeout=START_TIMEOUT_S)
        (folder / "tree.py").write_text(TREE.replace("* 10", "* 100"))
        done = run(rootward("deploy", "tree.py:tree"), folder=folder)
        assert done.process.returncode == 0, done.report()
        assert done.stdout.startswith("tens@2 ready")
        wait_until(
            lambda: "tens@2 takes its place" in up.stderr,
            description="the first has gone",
            timeout=20,
        )
        assert run(rootward("gateway", "call", "tens", "4"), folder=folder).stdout == "600\n"
        assert up.stop(signal.SIGINT) == 130
    assert list(runs.iterdir()) == []


def test_up_that_is_killed_leaves_no_process(folder: Path, runs: Path) -> None:
    """kill -9 of `up` takes server, worker, templates and replicas along (what must hold: 5)."""
    with Program(rootward("up", "tree.py:tree"), folder=folder, name="up") as up:
        wait_until(lambda: ready(up), description="up is ready", timeout=START_TIMEOUT_S)
        below = psutil.Process(up.process.pid).children(recursive=True)
        assert len(below) >= 6
        up.stop(signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, below)), description="all are gone")
        wait_until(lambda: list(runs.iterdir()) == [], description="its folder is gone")


def test_up_starts_a_dead_worker_again(folder: Path) -> None:
    """A worker that was killed comes back, and what it served with it."""
    environ = {"ROOTWARD_LEASE_SECONDS": "2"}
    with Program(rootward("up", "tree.py:tree"), folder=folder, environ=environ, name="up") as up:
        wait_until(lambda: ready(up), description="up is ready", timeout=START_TIMEOUT_S)
        done = run(rootward("workers", "--json"), folder=folder)
        (worker,) = json.loads(done.stdout)
        os.kill(worker["pid"], signal.SIGKILL)
        wait_until(lambda: "is started again" in up.stderr, description="it is told")
        answer = wait_until(
            lambda: (
                run(rootward("gateway", "call", "tens", "4", "--hold", "20"), folder=folder).stdout
            ),
            description="the service answers again",
            timeout=30,
        )
        assert json.loads(answer) == 60
        assert up.stop(signal.SIGINT) == 130


def test_a_failed_module_is_explained_in_few_lines(folder: Path, runs: Path) -> None:
    """What, where, its output, and what was therefore not started; exit code 1, nothing left."""
    done = run(rootward("up", "broken.py:tree"), folder=folder)
    assert done.process.returncode == 1, done.report()
    told = done.stderr.splitlines()
    start = next(n for n, line in enumerate(told) if line.startswith("x train:"))
    assert len(told) - start <= 15
    text = "\n".join(told[start:])
    assert "RuntimeError: the weights are gone" in text
    assert "broken.py:11 in train" in text
    assert "| about to fail" in text
    assert "not started because of it: deploy:top" in text
    assert done.stdout == ""
    assert list(runs.iterdir()) == []


def test_a_bad_target_is_told_and_leaves_nothing(folder: Path, runs: Path) -> None:
    """The nearest attribute is named; exit code 2."""
    done = run(rootward("up", "tree.py:tre", "--once"), folder=folder)
    assert done.process.returncode == 2, done.report()
    assert "did you mean tree" in done.stderr
    assert list(runs.iterdir()) == []


def test_up_shows_a_dashboard_and_deploys_what_changes(folder: Path, runs: Path) -> None:
    """The address answers while `up` runs; an edited file is the next generation."""
    with Program(rootward("up", "tree.py:tree", "--reload"), folder=folder, name="up") as up:
        wait_until(
            lambda: ready(up) and "dashboard: http://127.0.0.1:" in up.stderr,
            description="up is ready",
            timeout=START_TIMEOUT_S,
        )
        url = up.stderr.partition("dashboard: ")[2].split()[0]
        with urllib.request.urlopen(f"{url}api/services", timeout=10) as answer:
            found = [each["service"] for each in json.load(answer)]
            assert sorted(found) == ["tens", "tens/m/adder"]
        (folder / "tree.py").write_text(TREE.replace("self.amount = 2", "self.amount = 5"))
        wait_until(
            lambda: "tens@2 takes its place" in up.stderr,
            description="the change is deployed",
            timeout=START_TIMEOUT_S,
        )
        done = run(rootward("gateway", "call", "tens", "-4"), folder=folder)
        assert json.loads(done.stdout) == 10
        # What can't be deployed leaves what runs.
        (folder / "tree.py").write_text("tree = None\n")
        wait_until(
            lambda: "what ran before goes on" in up.stderr,
            description="a broken change is refused",
            timeout=START_TIMEOUT_S,
        )
        done = run(rootward("gateway", "call", "tens", "0"), folder=folder)
        assert json.loads(done.stdout) == 50
        assert up.stop(signal.SIGINT) == 130, up.report()
    assert list(runs.iterdir()) == []


def test_two_ups_are_told_apart_by_name(folder: Path) -> None:
    """The second one doesn't hide the first."""
    with (
        Program(rootward("up", "tree.py:tree"), folder=folder, name="first") as first,
        Program(
            rootward("up", "tree.py:tree", "--name", "other"), folder=folder, name="second"
        ) as second,
    ):
        wait_until(lambda: ready(first), description="the first is ready", timeout=60)
        wait_until(lambda: ready(second), description="the second is ready", timeout=60)
        for name in ("tens", "other"):
            done = run(rootward("status", name, "--json"), folder=folder)
            assert json.loads(done.stdout)["state"] == "ready", done.report()
            done = run(rootward("gateway", "call", name, "1"), folder=folder)
            assert json.loads(done.stdout) == 30
        assert "others: " in run(rootward("status"), folder=folder).stderr
        assert first.stop(signal.SIGINT) == 130
        assert second.stop(signal.SIGINT) == 130


def test_up_once_shows_no_address_that_is_gone(folder: Path) -> None:
    """It ends by saying that all was stopped."""
    done = run(rootward("up", "tree.py:tree", "--once"), folder=folder)
    assert "http://" not in done.stdout + done.stderr
    assert done.stderr.splitlines()[-1] == "all of it has been stopped"
