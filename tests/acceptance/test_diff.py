"""What `diff` and `plan` say of an edited tree, against what is deployed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.projects import UserProject

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

APP = """
from rootward import ModuleBase, ServerModule
from scales import SCALE


class Leaf(ModuleBase):
    def _get_train_tasks(self):
        return [self.fit]

    def fit(self):
        self.weight = SCALE

    def forward(self, value):
        return value * self.weight


class Other(ModuleBase):
    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, value):
        return value


class Top(ModuleBase):
    def __init__(self, leaf, other):
        super().__init__()
        self.leaf = leaf
        self.other = other

    def forward(self, value):
        return self.leaf(value)


tree = Top(ServerModule(Leaf()), Other(3))
"""
SCALES = "SCALE = 2\nUNUSED = 1\n"


def test_diff_says_what_a_deploy_would_change_and_why(network: Network) -> None:
    """Nothing for a comment; code, attributes and what loads them for an edit."""
    project = UserProject.of(network, {"app.py": APP, "scales.py": SCALES})

    def diff(code: int, *options: str) -> tuple[str, str]:
        done = project.rootward("diff", "app.py:tree", "--name", "app", *options)
        assert done.process.returncode == code, done.report()
        return done.stdout, done.stderr

    out, told = diff(1)
    assert out.splitlines()[-1] == "4 added"
    assert "nothing is current as app" in told
    network.worker()
    done = project.rootward("deploy", "app.py:tree", "--name", "app")
    assert done.process.returncode == 0, done.report()

    project.write("app.py", "# A comment.\n" + APP.replace("return value * ", "return value  *  "))
    project.write("scales.py", "UNUSED = 2\nSCALE = 2  # as before\n")
    assert diff(0)[0] == "4 unchanged\n"

    project.write("scales.py", SCALES.replace("= 2", "= 3"))
    project.write("app.py", APP.replace("Other(3)", "Other(4)"))
    out, told = diff(1)
    assert "compared with app@1" in told
    assert "~ app/leaf/m  changed: code of scales.SCALE" in out
    assert "~ app/leaf  changed: loads m, which changed" in out
    assert "~ app/other  changed: attribute limit" in out
    assert "~ app  changed: loads other, which changed" in out
    assert "attribute limit]" in project.rootward("plan", "app.py:tree", "--name", "app").stdout

    found = json.loads(diff(1, "--json")[0])
    assert (found["deployment"], found["generation"]) == ("app", 1)
    by_path = {each["module"]: each for each in found["modules"]}
    assert by_path["app/other"]["attributes"] == ["limit"]
    assert by_path["app/leaf/m"]["code"] == ["scales.SCALE"]

    project.write("app.py", APP.replace("Other(3)", "Other("))
    assert "SyntaxError" in diff(2)[1]
    project.rootward("stop", "app")
