"""The commands around a deployment, as a user types them against workers on a Redis."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import Program, environment, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Network

TREE = """
import os
import time

from rootward import ModuleBase, ServerModule


class Leaf(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        print("the leaf has learned")

    def forward(self, value):
        return [value, os.getpid()]


class Root(ModuleBase):
    def __init__(self):
        super().__init__()
        self.leaf = ServerModule(Leaf(), name="leaf")

    def forward(self, value):
        return self.leaf(value)[0]


class Slow(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        print("slow has begun", flush=True)
        time.sleep(30)


class Failing(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        if not os.path.exists("mended"):
            raise LookupError("not mended yet")


print("noise at import")
tree = ServerModule(Root(), name="calc")
slow = Slow(name="slow")
failing = Failing(name="failing")
"""
READY_S = 40.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with trees to deploy."""
    (tmp_path / "trees.py").write_text(TREE)
    return tmp_path


def call(network: Network, *arguments: str, code: int = 0) -> str:
    """Run a command to its end and return what it printed; fails on another exit code."""
    done = run(rootward(*arguments), folder=network.folder, environ=network.environ)
    assert done.process.returncode == code, done.report()
    return done.stdout


def test_a_deployment_from_submit_to_stop(network: Network, folder: Path) -> None:
    """Deploy, look, call, scale, stop: each command prints one document and nothing else."""
    network.worker("--name", "w1")
    document = json.loads(call(network, "deploy", "trees.py:tree", "--json"))
    assert (document["deployment"], document["generation"]) == ("calc", 1)
    assert document["state"] == "ready"
    assert {service["state"] for service in document["services"]} == {"ready"}
    work = [task for task in document["tasks"] if task["kind"] in {"train", "deploy"}]
    assert {task["worker"] for task in work} == {"w1"}
    assert json.loads(call(network, "status", "calc@1", "--json"))["state"] == "ready"
    leaf = next(s["service"] for s in document["services"] if s["service"] != "calc")
    assert json.loads(call(network, "gateway", "call", leaf, '"x"'))[0] == "x"
    assert "the leaf has learned" in call(network, "logs", "calc", "leaf")
    assert "the leaf has learned" not in call(network, "logs", "calc", "calc")
    call(network, "scale", leaf, "2")
    wait_until(
        lambda: len(json.loads(call(network, "gateway", "get", leaf, "--json"))["endpoints"]) == 2,
        description="two replicas",
        timeout=READY_S,
    )
    stopped = json.loads(call(network, "down", "calc", "--json"))
    assert stopped["state"] == "stopped"
    assert json.loads(call(network, "gateway", "list", "--json")) == []
    lines = call(network, "events", "calc", "--json").splitlines()
    names = [json.loads(line)["event"] for line in lines]
    assert names[0] == "submitted"
    assert names[-1] == "deployment.stopped"
    assert names.index("deployment.ready") < names.index("deployment.stopping")


def test_interrupting_deploy_leaves_the_deployment(network: Network, folder: Path) -> None:
    """Ctrl-C ends the following only, and says how to follow on and how to cancel; exit 130."""
    network.worker()
    with Program(
        rootward("deploy", "trees.py:slow"), folder=folder, environ=network.environ, name="deploy"
    ) as deploy:
        wait_until(
            lambda: "train:slow running" in deploy.stderr,
            description="the task runs",
            timeout=READY_S,
        )
        assert deploy.stop(signal.SIGINT) == 130
        assert "rootward status slow --watch" in deploy.stderr
        assert "rootward cancel slow" in deploy.stderr
    assert json.loads(call(network, "status", "slow", "--json"))["state"] == "progressing"
    call(network, "cancel", "slow")
    wait_until(
        lambda: json.loads(call(network, "status", "slow", "--json"))["state"] == "cancelled",
        description="it is cancelled",
    )


def test_without_a_worker_whoever_waits_is_told(network: Network, folder: Path) -> None:
    """Nobody waits in silence: the reason and the command that helps."""
    with Program(
        rootward("deploy", "trees.py:slow"), folder=folder, environ=network.environ, name="deploy"
    ) as deploy:
        wait_until(
            lambda: "no worker is running" in deploy.stderr, description="reason", timeout=20
        )
        assert "rootward worker" in deploy.stderr
        deploy.stop(signal.SIGINT)
    assert "no worker is running" in json.loads(call(network, "status", "slow", "--json"))["reason"]
    call(network, "cancel", "slow")


def test_a_failed_deployment_is_resumed(network: Network, folder: Path) -> None:
    """Exit code 1 and the reason; after mending, resume runs what is left and exits with 0."""
    network.worker()
    done = run(rootward("deploy", "trees.py:failing"), folder=folder, environ=network.environ)
    assert done.process.returncode == 1, done.report()
    assert "LookupError: not mended yet" in done.stderr
    assert "rootward resume failing" in done.stderr
    # `status` answers, so it is done, whatever it has to tell.
    assert json.loads(call(network, "status", "failing", "--json"))["state"] == "failed"
    (folder / "mended").touch()
    call(network, "resume", "failing")
    assert json.loads(call(network, "status", "failing", "--json"))["state"] == "ready"


def test_a_failed_replacement_leaves_what_runs(network: Network, folder: Path) -> None:
    """The first generation goes on serving, whoever looks is told, and `stop` means it too."""
    network.worker()
    call(network, "deploy", "trees.py:tree", "--name", "same")
    done = run(
        rootward("deploy", "trees.py:failing", "--name", "same"),
        folder=folder,
        environ=network.environ,
    )
    assert done.process.returncode == 1, done.report()
    assert "same@1 is current and keeps serving" in done.stderr
    assert call(network, "gateway", "call", "same", '"x"') == '"x"\n'
    assert call(network, "stop", "same").startswith("same@1 stopped")
    assert json.loads(call(network, "gateway", "list", "--json")) == []


def test_detached_deploy_returns_at_once(network: Network, folder: Path) -> None:
    """It prints the id on standard output, and needs no worker for that."""
    assert call(network, "deploy", "trees.py:slow", "--detach") == "slow@1\n"
    assert call(network, "deploy", "trees.py:slow", "-d", "--name", "other") == "other@1\n"
    call(network, "cancel", "slow")
    call(network, "cancel", "other")


def test_unknown_names_get_the_nearest(network: Network, folder: Path) -> None:
    """Deployments, modules and services: exit code 2, nothing on standard output."""
    call(network, "deploy", "trees.py:slow", "--detach")
    for arguments, nearest in (
        (["status", "slwo"], "slow"),
        (["logs", "slow", "slov"], "slow"),
        (["cancel", "slo"], "slow"),
        (["scale", "slwo/x", "2"], "slow"),
    ):
        done = run(rootward(*arguments), folder=folder, environ=network.environ)
        assert done.process.returncode == 2, done.report()
        assert nearest in done.stderr
        assert done.stdout == ""
    call(network, "cancel", "slow")


def test_a_worker_without_a_secret_refuses(network: Network, folder: Path) -> None:
    """It says how to make one, before it does anything."""
    environ = {**network.environ, "ROOTWARD_SECRET": None}
    done = run(rootward("worker", "--burst"), folder=folder, environ=environ)
    assert done.process.returncode == 2, done.report()
    assert "secrets.token_hex" in done.stderr


def test_a_closed_pipe_is_quiet(network: Network, folder: Path) -> None:
    """`rootward events ... | head -1` ends without a word about it."""
    call(network, "deploy", "trees.py:slow", "--detach")
    events = " ".join(rootward("events", "slow", "--follow"))
    with Program(
        ["/bin/sh", "-c", f"{events} | head -1"], folder=folder, environ=network.environ
    ) as pipe:
        wait_until(lambda: "submitted" in pipe.stdout, description="the first line")
        call(network, "cancel", "slow")
        assert pipe.wait(20) == 0
        assert pipe.stderr == ""


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_shows_a_live_tree(network: Network, folder: Path, no_color: str) -> None:
    """The tree is redrawn in place, in colour unless NO_COLOR is set; data stay plain."""
    network.worker()
    terminal, theirs = pty.openpty()
    environ = {**network.environ, "NO_COLOR": no_color, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        rootward("deploy", "trees.py:tree"),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(environ),
        start_new_session=True,
    )
    os.close(theirs)
    drawn = b""
    try:
        while piece := os.read(terminal, 65536):
            drawn += piece
    except OSError:
        # Linux ends a terminal whose last writer has gone with an error.
        pass
    finally:
        os.close(terminal)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 0, drawn.decode()
    assert b"\x1b" not in stdout
    text = drawn.decode()
    assert "calc@1" in text
    assert "leaf" in text
    assert ("\x1b[32m" in text) == (not no_color)
    call(network, "stop", "calc")
