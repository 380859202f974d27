"""The generations of a deployment, as a user and a program see them afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.programs import rootward, run

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

TREE = """
from rootward import ModuleBase, ServerModule


class Scored(ModuleBase):
    def forward(self, value):
        return value * FACTOR


def accuracy(results):
    return sum(results) / len(results)


scored = ServerModule(Scored(), name="scored")
scored.evalset([1, 2, 3], collect_f=accuracy)
"""


def test_history_tells_of_each_generation_who_made_it_and_what_it_gave(network: Network) -> None:
    """Two generations of edited code, the second with an evaluation."""
    environ = {**network.environ, "LOGNAME": "ana"}
    trees = network.folder / "trees.py"

    def call(*arguments: str, code: int = 0, **more: str) -> tuple[str, str]:
        done = run(rootward(*arguments), folder=network.folder, environ={**environ, **more})
        assert done.process.returncode == code, done.report()
        return done.stdout, done.stderr

    network.worker()
    trees.write_text(TREE.replace("FACTOR", "2"))
    call("deploy", "trees.py:scored", "--kinds", "deploy")
    trees.write_text(TREE.replace("FACTOR", "3"))
    call("deploy", "trees.py:scored")

    newer, older = json.loads(call("history", "scored", "--json")[0])
    assert (newer["generation"], newer["state"], newer["current"]) == (2, "ready", True)
    assert (older["generation"], older["current"]) == (1, False)
    assert older["state"] in {"stopping", "stopped"}
    assert newer["created_at"] > older["created_at"]
    assert {each["by"].partition("@")[0] for each in (newer, older)} == {"ana"}
    assert [(each["how"], each["can_roll_back"]) for each in (newer, older)] == [
        ("deploy", False),
        ("deploy", True),
    ]
    assert len({newer["digest"], older["digest"]}) == 2
    status = json.loads(call("status", "scored", "--json")[0])
    assert newer["evaluations"] == status["evaluations"]
    assert [each["result"] for each in newer["evaluations"]] == [6.0]
    assert older["evaluations"] == []

    header, first, second = call("history", "scored")[0].splitlines()
    assert header.split() == [
        *("GENERATION", "STATE", "CURRENT", "AGE", "BY", "HOW", "CODE", "EVALUATIONS")
    ]
    assert first.split()[:3] == ["@2", "ready", "yes"]
    assert f"{newer['by']}  deploy  {newer['digest'][:8]}  scored accuracy=6" in first
    assert second.split()[0] == "@1"

    out, told = call("history", "scord", code=2)
    assert (out, "did you mean scored" in told) == ("", True)
    asked = {"_ROOTWARD_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
    assert "scored" in call(COMP_WORDS="rootward history sc", **asked)[0]
    call("stop", "scored")
