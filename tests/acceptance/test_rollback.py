"""Going back to an earlier generation by the command line, with real workers, under calls."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from rootward import orchestrator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.orchestrator.client.client import Client
    from tests.acceptance.conftest import Network

# Many commands one after the other, on machines that have other work.
pytestmark = pytest.mark.timeout(180)

TREE = """
import os
from rootward import ModuleBase, ServerModule

VERSION = 1


class Leaf(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        print(f"training {VERSION}")
        self.learnt = VERSION

    def forward(self, value):
        return [VERSION, self.learnt]


class Root(ModuleBase):
    def __init__(self):
        super().__init__(name="root")
        self.leaf = ServerModule(Leaf(name="leaf"))

    def setup(self):
        if os.path.exists(f"broken-{VERSION}"):
            raise RuntimeError(f"{VERSION} can't start here")

    def forward(self, value):
        return [VERSION, *self.leaf(value)]


app = ServerModule(Root(), name="app")
"""


class Town:
    """A network with one worker, whose tree is deployed in versions."""

    def __init__(self, network: Network) -> None:
        self.network, self.call = network, network.call
        network.worker("--slots", "2")

    def deploy(self, version: int, *options: str, code: int = 0) -> str:
        text = TREE.replace("VERSION = 1", f"VERSION = {version}")
        (self.network.folder / "trees.py").write_text(text)
        return self.call("deploy", "trees.py:app", *options, code=code)[1]

    def answer(self) -> list[int]:
        found: list[int] = json.loads(self.call("gateway", "call", "app", "0")[0])
        return found

    def history(self) -> list[tuple[Any, ...]]:
        found = json.loads(self.call("history", "app", "--json")[0])
        keys = ("generation", "how", "current", "can_roll_back")
        return [tuple(each[key] for key in keys) for each in found]

    @contextmanager
    def called(self) -> Iterator[list[Any]]:
        """Call the service all the time; gives the answers, and the errors that came."""
        answers: list[Any] = []
        stop = threading.Event()
        network = self.network
        with orchestrator.connect(
            network.url, secret=network.secret, prefix=network.prefix
        ) as client:
            thread = threading.Thread(target=_call, args=(client, answers, stop))
            thread.start()
            try:
                yield answers
            finally:
                stop.set()
                thread.join()


def _call(client: Client, answers: list[Any], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            answers.append(client.gateway.call("app", 0))
        except Exception as error:
            answers.append(error)


def test_an_earlier_generation_comes_back_whole_and_no_call_is_lost(network: Network) -> None:
    """Code, state and tree of the first, without training; and back again to the second."""
    town = Town(network)
    town.deploy(1)
    town.deploy(2)
    assert town.answer() == [2, 2, 2]
    with town.called() as answers:
        status = json.loads(town.call("rollback", "app", "--json")[0])
        assert (status["deployment"], status["generation"], status["state"]) == ("app", 3, "ready")
        attempts = {each["id"]: each["attempt"] for each in status["tasks"]}
        assert attempts["train:app/root/leaf/leaf"] == 0
        assert attempts["deploy:app"] == 1
        assert "training" not in town.call("logs", "app")[0]
        assert town.answer() == [1, 1, 1]
        town.call("rollback", "app")
        assert town.answer() == [2, 2, 2]
    # Each call stays in one generation, all the way down.
    assert {json.dumps(each) for each in answers} <= {"[1, 1, 1]", "[2, 2, 2]"}
    assert town.history() == [
        (4, "rollback", True, False),
        (3, "rollback", False, True),
        (2, "deploy", False, True),
        (1, "deploy", False, True),
    ]
    assert "rollback (@2)" in town.call("history", "app")[0]
    town.call("stop", "app")
    town.call("rollback", "app", "--to", "1")
    assert town.answer() == [1, 1, 1]
    town.call("stop", "app")


def test_what_serves_goes_on_when_a_rollback_fails_or_can_not_begin(network: Network) -> None:
    """A sentence and exit code 2 for what can't be; 1 for what doesn't start, and nothing lost."""
    town = Town(network)
    town.deploy(1)
    assert "no earlier generation to go back to" in town.call("rollback", "app", code=2)[1]
    assert "did you mean app" in town.call("rollback", "ap", code=2)[1]
    town.deploy(2)
    assert "app@2 is current already" in town.call("rollback", "app", "--to", "2", code=2)[1]
    assert "app@7 is gone or never was" in town.call("rollback", "app", "--to", "7", code=2)[1]
    # Where the worker runs: the first version can't start there any more.
    (network.folder / "broken-1").touch()
    with town.called() as answers:
        told = town.call("rollback", "app", code=1)[1]
    assert "1 can't start here" in told
    assert "app@2 is current and keeps serving" in told
    assert {json.dumps(each) for each in answers} == {"[2, 2, 2]"}
    assert town.history()[:2] == [(3, "rollback", False, False), (2, "deploy", True, False)]
    town.call("stop", "app")


def test_a_warm_generation_is_switched_to_with_the_replicas_that_it_has(network: Network) -> None:
    """With ROOTWARD_KEEP_WARM the processes of the first go on, and serve again at once."""
    network.more["ROOTWARD_KEEP_WARM"] = "1"
    town = Town(network)
    town.deploy(1)

    def replicas() -> set[str]:
        (service, *_) = json.loads(town.call("gateway", "list", "--json")[0])
        return {each["replica"] for each in service["endpoints"]}

    first = replicas()
    town.deploy(2)
    assert replicas().isdisjoint(first)
    with town.called() as answers:
        town.call("rollback", "app")
        assert replicas() == first
        assert town.answer() == [1, 1, 1]
    assert {json.dumps(each) for each in answers} <= {"[1, 1, 1]", "[2, 2, 2]"}
    assert [each[2] for each in town.history()] == [False, True]
    town.call("stop", "app")


def test_the_last_generations_are_kept_however_old(network: Network) -> None:
    """With a history of no time at all, `--keep` alone lets a generation come back."""
    network.more["ROOTWARD_HISTORY_DAYS"] = "0"
    town = Town(network)
    town.deploy(1, "--keep", "1")
    town.deploy(2)
    town.deploy(3)
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        client.deployment("app", 2).wait_stopped(30)
        key = client.keys.generation("app", 2)
        assert client.store.clients.scripts.ttl(key) == -1
    assert "but for the last N of a deployment with --keep N" in town.call("doctor")[0]
    town.call("rollback", "app")
    assert town.answer() == [2, 2, 2]
    town.call("stop", "app")
