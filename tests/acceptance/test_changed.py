"""Deploying again: what is unchanged keeps its training, and a deploy of nothing new is none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.projects import UserProject

if TYPE_CHECKING:
    from typing import Any

    from tests.acceptance.conftest import Network

# Many commands one after the other, on machines that have other work.
pytestmark = pytest.mark.timeout(180)

APP = """
import os
import time
from rootward import ModuleBase, ServerModule


class Model(ModuleBase):
    FACTOR = 1

    def _get_train_tasks(self):
        return [self.fit]

    def fit(self):
        self.weight = (self.FACTOR, os.urandom(8).hex())

    def forward(self, value):
        return self.weight


class First(Model):
    FACTOR = 2


class Second(Model):
    FACTOR = 3


class Top(ModuleBase):
    def __init__(self):
        super().__init__()
        self.first = ServerModule(First())
        self.second = ServerModule(Second())

    def forward(self, value):
        return value


tree = Top()
"""


class Deployed:
    """A project, and what its deployment answers."""

    def __init__(self, network: Network) -> None:
        self.project = UserProject.of(network, {"app.py": APP})
        network.worker()

    def deploy(self, *options: str, code: int = 0) -> str:
        """Deploy it under the name `app`; return what was said on standard error."""
        done = self.project.rootward("deploy", "app.py:tree", "--name", "app", *options)
        assert done.process.returncode == code, done.report()
        return done.stderr

    def weights(self) -> tuple[Any, Any]:
        """Return what the two models have learned."""
        found = [self._json("gateway", "call", f"app/{each}", "1") for each in ("first", "second")]
        return found[0], found[1]

    def _json(self, *arguments: str) -> Any:
        done = self.project.rootward(*arguments, "--json")
        assert done.process.returncode == 0, done.report()
        return json.loads(done.stdout)

    def trained(self) -> dict[str, tuple[str, int]]:
        """Return state and attempt of each training of the newest generation."""
        tasks = self._json("status", "app")["tasks"]
        return {t["module"]: (t["state"], t["attempt"]) for t in tasks if t["kind"] == "train"}

    def generation(self) -> int:
        """Return the number of the newest generation."""
        return int(self._json("status", "app")["generation"])


def test_one_edited_leaf_is_trained_again_and_nothing_else(network: Network) -> None:
    """The other keeps what it has learned; a comment changes nothing at all."""
    app = Deployed(network)
    app.deploy()
    first, second = app.weights()

    app.project.write("app.py", APP.replace("tree = Top()", "# The tree.\ntree = Top()"))
    told = app.deploy("--changed")
    assert "nothing has changed: app@1 stays current, and no task runs" in told
    assert app.generation() == 1

    app.project.write("app.py", APP.replace("FACTOR = 2", "FACTOR = 20"))
    told = app.deploy("--changed")
    assert "app/second/m: training taken over from app@1" in told
    assert "app/first/m: training" not in told
    new_first, same_second = app.weights()
    assert new_first[0] == 20
    assert same_second == second
    assert app.trained()["app/second/m"] == ("succeeded", 0)
    assert app.trained()["app/first/m"] == ("succeeded", 1)

    # Without it everything runs.
    app.deploy()
    assert app.weights()[1] != second
    assert app.weights()[0] != first
    app.project.rootward("stop", "app")


def test_a_deploy_without_training_takes_it_over_or_is_refused(network: Network) -> None:
    """Where the code of a model is another one, its name is said and nothing is stored."""
    app = Deployed(network)
    told = app.deploy("--kinds", "deploy", code=2)
    assert "would be served untrained: app/first/m, app/second/m" in told
    app.deploy()
    weights = app.weights()

    told = app.deploy("--kinds", "deploy")
    assert app.generation() == 2
    assert "app/first/m: training taken over from app@1" in told
    assert app.weights() == weights
    # A generation that has taken over can be taken over from.
    app.project.write("app.py", APP.replace("return value\n", "return value + 0\n"))
    app.deploy("--kinds", "deploy")
    assert app.weights() == weights

    app.project.write("app.py", APP.replace("FACTOR = 2", "FACTOR = 20"))
    told = app.deploy("--kinds", "deploy", code=2)
    assert "app would be served untrained: app/first/m (its code is another than that of" in told
    assert "app/second/m" not in told
    assert app.generation() == 3
    app.project.rootward("stop", "app")


def test_a_pinned_plan_is_done_as_it_is_or_refused(network: Network) -> None:
    """When the tree or what is current is another, and when the file is no plan."""
    app = Deployed(network)

    def plan() -> None:
        done = app.project.rootward(
            *("plan", "app.py:tree", "--name", "app", "--kinds", "train,deploy"),
            *("--out", "plan.json"),
        )
        assert done.process.returncode == 0, done.report()

    def deploy(code: int = 0) -> str:
        done = app.project.rootward("deploy", "--plan", "plan.json")
        assert done.process.returncode == code, done.report()
        return done.stderr

    plan()
    deploy()
    assert app.generation() == 1
    assert "the plan was made when nothing was current, and now app@1 is" in deploy(code=2)
    plan()
    app.project.write("app.py", APP.replace("FACTOR = 2", "FACTOR = 20"))
    told = deploy(code=2)
    assert "the tree is another than when the plan was made (app/first/m changed: code of" in told
    app.project.write("app.py", APP + "# The end.\n")
    deploy()
    assert app.generation() == 2
    app.project.write("plan.json", '{"format": "rootward plan 1"}')
    assert "plan.json is no plan that" in deploy(code=2)
    app.project.rootward("stop", "app")
