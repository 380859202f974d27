"""Requirements on evaluations: a worse model is refused, a better one takes over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

# Many commands one after the other, on machines that have other work.
pytestmark = pytest.mark.timeout(180)

TREE = """
from rootward import ModuleBase, ServerModule


class Model(ModuleBase):
    def forward(self, value):
        return value < THRESHOLD


def accuracy(results):
    return sum(results) / len(results)


model = ServerModule(Model(), name="model")
model.evalset(list(range(10)), collect_f=accuracy)
words = ServerModule(Model(), name="model")
words.evalset([1], collect_f=lambda results: "good")
plain = ServerModule(Model(), name="model")
"""


class Models:
    """Deploys models of some accuracy, and reads what became of them."""

    def __init__(self, network: Network) -> None:
        self.network, self.call = network, network.call

    def deploy(self, threshold: int, *requirements: str, to: str = "model", code: int = 0) -> str:
        """Return what was told on standard error."""
        text = TREE.replace("THRESHOLD", str(threshold))
        (self.network.folder / "trees.py").write_text(text)
        options = [word for each in requirements for word in ("--require", each)]
        return self.call("deploy", f"trees.py:{to}", *options, code=code)[1]

    def history(self) -> list[tuple[int, str, bool, list[object]]]:
        found = json.loads(self.call("history", "model", "--json")[0])
        return [
            (
                *(each["generation"], each["state"], each["current"]),
                [evaluation["result"] for evaluation in each["evaluations"]],
            )
            for each in found
        ]


def test_a_worse_model_is_refused_with_the_figures_and_a_better_one_takes_over(
    network: Network,
) -> None:
    """The refused one stays in the history with its evaluation; what is current serves on."""
    models = Models(network)
    network.worker()
    # Nothing is current yet: a comparison with it holds, a number counts.
    models.deploy(8, "model >= current - 0.01", "model>=.5")
    assert models.history() == [(1, "ready", True, [0.8])]

    told = models.deploy(7, "model >= current - 0.01", code=1)
    assert "model is 0.7, current is 0.8, and 'model >= current - 0.01' is required" in told
    assert "model@1 is current and keeps serving" in told
    assert models.history() == [(2, "failed", False, [0.7]), (1, "ready", True, [0.8])]
    assert json.loads(models.call("gateway", "call", "model", "7")[0]) is True
    told = models.deploy(9, "model >= 0.5", to="words", code=1)
    assert "has the result 'good', which is no number" in told

    models.deploy(9, "model >= current + 0.05")
    newest, *_ = models.history()
    assert newest == (4, "ready", True, [0.9])
    assert "requirements.met" in models.call("events", "model@4", "--json")[0]
    assert json.loads(models.call("gateway", "call", "model", "8")[0]) is True
    models.call("stop", "model")


def test_a_requirement_that_can_not_be_met_is_refused_before_anything_is_stored(
    network: Network,
) -> None:
    """A sentence, exit code 2, and no new generation."""
    models = Models(network)
    network.worker()
    models.deploy(8)
    for requirement, answer in {
        "model => 1": "is no requirement: write it as",
        "other >= 0.5": "other isn't evaluated here; known: model",
        "model >= ": "is no requirement",
    }.items():
        assert answer in models.deploy(9, requirement, code=2)
    told = models.deploy(9, "model >= 0.5", to="plain", code=2)
    assert "isn't evaluated here; give a module an `evalset`" in told
    assert [number for number, *_ in models.history()] == [1]

    # With nothing to compare with it is refused before it begins.
    models.call("deploy", "trees.py:model", "--kinds", "train,deploy")
    told = models.deploy(9, "model >= current", code=2)
    assert "model@2, which is current, has no evaluation of model to compare with" in told
    assert [number for number, *_ in models.history()] == [2, 1]
    models.call("stop", "model")
