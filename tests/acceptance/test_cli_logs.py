"""What failures leave behind, as a user finds it afterwards: in logs, status and the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Network

TREES = """
import os
import sys

from rootward import ModuleBase, ServerModule


class Reader(ModuleBase):
    def forward(self, value, times=1):
        print("reading", value)
        return int(value) * times


class Broken(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        for number in range(1000):
            print(f"\\r{number} of 1000", end="", file=sys.stderr)
        print(file=sys.stderr)
        raise LookupError("the weights are gone")


class Refusing(ModuleBase):
    def setup(self):
        raise RuntimeError("no licence here")

    def forward(self, value):
        return value


class Scored(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        self.k = 2

    def forward(self, value):
        return value * self.k


def accuracy(results):
    return sum(results) / len(results)


def parent(name, child):
    class Parent(ModuleBase):
        def __init__(self):
            super().__init__(name=name)
            self.child = child

        def forward(self, value):
            return value

    return Parent()


reader = ServerModule(Reader(), name="reader")
broken = parent("top", Broken(name="broken"))
refusing = ServerModule(Refusing(), name="refusing")
scored = ServerModule(Scored(), name="scored")
scored.evalset([1, 2, 3], collect_f=accuracy)
picky = Reader(name="picky")
picky.evalset([1, "two", 3])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with trees to deploy."""
    (tmp_path / "trees.py").write_text(TREES)
    return tmp_path


class Terminal:
    """Commands of one user against one network."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network, self._folder = network, folder

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command; return what it wrote to standard output."""
        return self.both(*arguments, code=code)[0]

    def both(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        done = run(rootward(*arguments), folder=self._folder, environ=self._network.environ)
        assert done.process.returncode == code, done.report()
        return done.stdout, done.stderr


@pytest.fixture
def terminal(network: Network, folder: Path) -> Terminal:
    """A terminal, and a worker that works."""
    network.worker()
    return Terminal(network, folder)


def test_what_forward_raises_is_in_the_logs(terminal: Terminal) -> None:
    """With its traceback, by the module's path; plain lines aren't errors."""
    terminal("deploy", "trees.py:reader")
    terminal("gateway", "call", "reader", '"x"', code=1)
    wait_until(
        lambda: "invalid literal" in terminal("logs", "reader", "--errors"),
        description="the traceback is stored",
        timeout=20,
    )
    errors = terminal("logs", "reader", "--errors")
    assert "forward raised ValueError: invalid literal" in errors
    assert 'trees.py", line' in errors
    assert "reading x" not in errors
    assert "reading x" in terminal("logs", "reader/m")
    assert terminal("logs", "reader", "--errors", "--tail", "1").strip().endswith("'x'")
    lines = terminal("logs", "reader", "--json").splitlines()
    assert any(json.loads(line)["error"] for line in lines)
    assert terminal("logs", "reader", "--since", "1s", "--json", "--tail", "0") == ""
    terminal("stop", "reader")


def test_what_a_task_raises_stays_with_it(terminal: Terminal) -> None:
    """In the logs, in the status, and where the message says that all of it is."""
    _, told = terminal.both("deploy", "trees.py:broken", code=1)
    assert "rootward logs top top/broken" in told
    logs = terminal("logs", "top", "top/broken", "--timestamps")
    assert "LookupError: the weights are gone" in logs
    assert "Traceback (most recent call last)" in logs
    assert "999 of 1000" in logs
    assert "500 of 1000" not in logs
    assert logs.count("\n") < 20
    # The same by one path; a deployment's logs stand behind the names of its modules.
    assert "Traceback" in terminal("logs", "top/broken")
    assert any(line.startswith("broken") for line in terminal("logs", "top").splitlines())
    (task,) = json.loads(terminal("status", "top", "--json"))["tasks"]
    assert task["error"] == {"type": "LookupError", "message": "the weights are gone"}
    assert "in train" in task["traceback"]
    assert "failed train" in terminal("status", "top", "--failed")


def test_what_setup_raises_is_in_the_logs(terminal: Terminal) -> None:
    """Before anything is served, too."""
    terminal("deploy", "trees.py:refusing", code=1)
    assert "RuntimeError: no licence here" in terminal("logs", "refusing", "--errors")
    assert "in setup" in terminal("logs", "refusing", "--errors")


def test_an_evaluation_is_shown_afterwards(terminal: Terminal) -> None:
    """After `deploy`, in `status`, and as data; the column is called as what was measured."""
    out, told = terminal.both("deploy", "trees.py:scored")
    assert ["EVALUATED", "ACCURACY"] in [line.split() for line in out.splitlines()]
    assert ["scored", "4"] in [line.split() for line in out.splitlines()]
    assert "critical path: train:scored/m" in told
    assert "ACCURACY" in terminal("status", "scored")
    (found,) = json.loads(terminal("status", "scored", "--json"))["evaluations"]
    assert (found["module"], found["result"], found["items"]) == ("scored", 4.0, 3)
    terminal("stop", "scored")


def test_the_item_of_a_failing_evaluation_is_named(terminal: Terminal) -> None:
    """By its place and its value."""
    _, told = terminal.both("deploy", "trees.py:picky", code=1)
    assert "item 1: 'two'" in told


def test_a_call_takes_several_arguments(terminal: Terminal) -> None:
    """As JSON values, as a list and as an object; a negative number is one of them."""
    terminal("deploy", "trees.py:reader")
    for arguments, expected in (
        (["-5"], -5),
        (["-5", "3"], -15),
        (["--args", "[2, 3]"], 6),
        (["2", "--kwargs", '{"times": -4}'], -8),
        (["--kwargs", '{"value": 7}'], 7),
    ):
        assert json.loads(terminal("gateway", "call", "reader", *arguments)) == expected
    for wrong in (["--args", "3"], ["--kwargs", "[1]"], ["--args", "{"]):
        terminal("gateway", "call", "reader", *wrong, code=2)
    terminal("stop", "reader")


def test_untrained_modules_are_not_served_instead_of_trained_ones(terminal: Terminal) -> None:
    """`--kinds deploy` names them and exits with 2; once trained, that is taken over."""
    _, told = terminal.both("deploy", "trees.py:scored", "--kinds", "deploy", code=2)
    assert "scored/m" in told
    terminal("deploy", "trees.py:scored")
    _, told = terminal.both("deploy", "trees.py:scored", "--kinds", "deploy")
    assert "scored/m: training taken over from scored@1" in told
    assert json.loads(terminal("gateway", "call", "scored", "3")) == 6
    assert json.loads(terminal("status", "scored", "--json"))["generation"] == 2
    # What has no training can be deployed alone.
    terminal("deploy", "trees.py:reader", "--kinds", "deploy")
    terminal("stop", "scored")
    terminal("stop", "reader")


def test_up_leaves_alone_what_deploy_has_made(terminal: Terminal) -> None:
    """It would become current, and end with `up`: another name is asked for."""
    terminal("deploy", "trees.py:reader")
    _, told = terminal.both("up", "trees.py:reader", "--once", code=2)
    assert "--name" in told
    assert json.loads(terminal("gateway", "call", "reader", "3")) == 3
    assert "stopped" in terminal.both("up", "trees.py:reader", "--once", "--name", "mine")[1]
    assert json.loads(terminal("gateway", "call", "reader", "3")) == 3
    terminal("stop", "reader")


def test_what_has_only_trained_is_stopped_when_asked(terminal: Terminal) -> None:
    """`stop` says how it is afterwards: stopped."""
    terminal("deploy", "trees.py:scored", "--kinds", "train")
    assert terminal("stop", "scored") == "scored@1 stopped\n"


def test_why_and_analyze_say_what_was_waited_for(terminal: Terminal) -> None:
    """In lines for a person, and as data; a module by its path."""
    terminal("deploy", "trees.py:broken", code=1)
    why = terminal("why", "top")
    assert "train:top/broken" in why
    assert "LookupError: the weights are gone" in why
    assert "train failed: LookupError" in terminal("why", "top/broken")
    assert json.loads(terminal("why", "top/broken", "--json"))["module"] == "top/broken"
    terminal("why", "top/borken", code=2)
    terminal("deploy", "trees.py:scored")
    found = json.loads(terminal("analyze", "scored", "--json"))
    assert [step["id"] for step in found["critical_path"]] == [
        *("train:scored/m", "deploy:scored", "eval:scored"),
    ]
    assert all(step["queue_seconds"] >= 0 for step in found["critical_path"])
    assert "CRITICAL PATH" in terminal("analyze", "scored@1")
    terminal("stop", "scored")


@pytest.mark.parametrize("words", ["status to", "logs top/", "why to"])
def test_a_shell_completes_live_names(network: Network, folder: Path, words: str) -> None:
    """Deployments and the paths of their modules; without a Redis there are none."""
    environ = {**network.environ, "COMP_WORDS": f"rootward {words}", "COMP_CWORD": "2"}
    environ["_ROOTWARD_COMPLETE"] = "bash_complete"
    run(rootward("deploy", "trees.py:broken", "--detach"), folder=folder, environ=network.environ)
    found = run(rootward(), folder=folder, environ=environ).stdout.splitlines()
    assert found == ["plain,top/broken" if "/" in words else "plain,top"]
    environ["REDIS_URL"] = "redis://127.0.0.1:1"
    nothing = run(rootward(), folder=folder, environ=environ)
    assert (nothing.stdout.strip(), nothing.stderr) == ("", "")
    run(rootward("cancel", "top"), folder=folder, environ=network.environ)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(folder: Path, shell: str) -> None:
    """It needs no Redis."""
    done = run(rootward("completion", shell), folder=folder)
    assert done.process.returncode == 0, done.report()
    assert "_ROOTWARD_COMPLETE" in done.stdout


def test_a_number_of_replicas_holds_until_it_is_given_back(terminal: Terminal) -> None:
    """The next deploy keeps it and says so; `auto` is what the tree says."""

    def replicas() -> int:
        (service,) = json.loads(terminal("gateway", "list", "--json"))
        return sum(endpoint["state"] == "ready" for endpoint in service["endpoints"])

    terminal("deploy", "trees.py:reader")
    assert "until `rootward scale reader auto`" in terminal("scale", "reader", "2")
    wait_until(lambda: replicas() == 2, description="two replicas are ready", timeout=20)
    _, told = terminal.both("deploy", "trees.py:reader")
    assert "reader keeps 2 replicas" in told
    assert replicas() == 2
    assert terminal("scale", "reader", "auto") == "reader is to have 1 replica\n"
    assert "keeps" not in terminal.both("deploy", "trees.py:reader")[1]
    assert replicas() == 1
    for wrong in ("-1", "many"):
        assert (
            "Invalid value for 'N|LOW..HIGH|auto'"
            in terminal.both("scale", "reader", wrong, code=2)[1]
        )
    terminal("stop", "reader")


def test_a_removed_folder_is_a_sentence(tmp_path: Path) -> None:
    """Nobody is asked to report it."""
    script = f"mkdir gone && cd gone && rmdir ../gone && {' '.join(rootward('plan', 'x.py:tree'))}"
    done = run(["/bin/sh", "-c", script], folder=tmp_path)
    assert done.process.returncode == 2, done.report()
    assert "has been removed" in done.stderr
    assert "report" not in done.stderr
