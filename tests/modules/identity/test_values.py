"""Values of attributes, effects on others' state, children, and what is said of each change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.edited_program import CONSTANTS, LEAF, STILL, app, edit

if TYPE_CHECKING:
    from tests.support.identities import Edits

VALUES = {
    "bool and int": ("True", "1"),
    "int and float": ("1", "1.0"),
    "sign of zero": ("0.0", "-0.0"),
    "text and bytes": ("'a'", "b'a'"),
    "list and tuple": ("[1]", "(1,)"),
    "order of a list": ("[1, 2]", "[2, 1]"),
    "order of a dict": ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
    "sharing": ("q + q", "q + [[1]]"),
    "array": ("np.arange(3)", "np.arange(3)[::-1]"),
    "type of an array": ("np.zeros(3, 'f4')", "np.zeros(3, 'i4')"),
    "shape of an array": ("np.zeros((2, 3))", "np.zeros((3, 2))"),
    "masked array": ("np.ma.array([1, 2], mask=[0, 1])", "np.ma.array([1, 2], mask=[1, 0])"),
    "generator of numbers": ("np.random.default_rng(1)", "np.random.default_rng(2)"),
    "named tuple": ("N(1, 2)", "N(1, 3)"),
    "text of a class": ("S('a')", "S('b')"),
    "dict of a class": ("D(a=1)", "D(a=2)"),
    "pattern": ("re.compile('a')", "re.compile('a', re.I)"),
    "path": ("Path('/etc/a')", "Path('/etc/b')"),
    "builtin": ("len", "max"),
    "bound method": ("'a'.join", "'b'.join"),
}
VALUES_PRE = """
import re
from collections import namedtuple
from pathlib import Path
import numpy as np
q = [[1]]
N = namedtuple('N', 'a b')
class S(str): pass
class D(dict): pass
"""
SEED = "import random\ndef begin():\n    random.seed(1)\n    return 1\n"
OF_ALL = {
    "seed": edit("pre", "import random\nrandom.seed(1)", "import random\nrandom.seed(2)"),
    "seed in a function": edit("pre", SEED + "X = begin()", SEED.replace("1)", "2)")
                               + "X = begin()"),
    "seed by another name": edit("pre", SEED + "go = begin\nX = go()", SEED.replace("1)", "2)")
                                 + "go = begin\nX = go()"),
    "seed in a constructor": edit(
        "pre", "import random\nclass S:\n    def __init__(s): s.r()\n"
        "    def r(s): random.seed(1)\nX = S()", "import random\nclass S:\n"
        "    def __init__(s): s.r()\n    def r(s): random.seed(2)\nX = S()"),
    "seed whose value is kept": edit("pre", "import random\nX = random.seed(1) or 3",
                                     "import random\nX = random.seed(2) or 3"),
    "seed in a lambda": edit("pre", "import random\nX = (lambda: random.seed(1) or 3)()",
                             "import random\nX = (lambda: random.seed(2) or 3)()"),
    "order of seeds": edit("pre", "import one\nimport two", "import two\nimport one",
                           one__py="import random\nrandom.seed(1)",
                           two__py="import random\nrandom.seed(2)"),
    "environment": edit("pre", "import os\nos.environ['A'] = '1'",
                        "import os\nos.environ['A'] = '2'"),
    "method replaced from outside": edit("post", "", "Leaf.forward = lambda self, x: 3"),
    "constant replaced from outside": edit("pre", CONSTANTS, CONSTANTS + "constants.X = 5",
                                           body="return constants.X", constants__py="X = 1"),
    "data file": edit("pkg/words.txt", "one", "two", pre="import pkg", **{"pkg/__init__.py": ""}),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_another_value_of_an_attribute_changes_its_module(edits: Edits, name: str) -> None:
    """The same value is the same in every process."""
    before, after = ({"app.py": app(call, "a", pre=VALUES_PRE)} for call in VALUES[name])
    assert edits.changed(before, before) == set()
    assert edits.changed(before, after) == {"app", LEAF}
    reasons = edits.changes(before, after).modules[0].reasons
    assert reasons == ("attribute a",)


@pytest.mark.parametrize("name", OF_ALL)
def test_an_effect_that_no_value_shows_changes_every_module(edits: Edits, name: str) -> None:
    """What the import of a project does to others' state counts for all."""
    each = OF_ALL[name]
    found = edits.changed(each.files(each.before), each.files(each.after))
    assert found == {"app", LEAF, "app/b", STILL}


def test_a_parent_that_calls_a_served_child_is_as_it_was(edits: Edits) -> None:
    """It is changed by what it is called by, not by what it is."""
    before, after = {"app.py": app()}, {"app.py": app(still="x + 1")}
    found = edits.changes(before, after)
    assert {each.path for each in found.of("changed")} == {"app/b", STILL}
    (root,) = [each for each in found.modules if each.path == "app"]
    assert root.reaches_changed


def test_reasons_name_class_attribute_option_and_the_line_of_what_can_not_be_told(
    edits: Edits,
) -> None:
    """As `diff` prints them."""
    base = app("1", "a", body="return eval('x')")
    after = base.replace("Leaf(1)", "Leaf(2)").replace(
        "ServerModule(b)", "ServerModule(b, replicas=2)"
    )
    after = after.replace("return self.a(x)", "return 1 + self.a(x)")
    found = {each.path: each for each in edits.changes({"app.py": base}, {"app.py": after}).modules}
    assert found[LEAF].attributes == ("a",)
    assert any("app.py:11 eval" in reason for reason in found[LEAF].reasons), found[LEAF].reasons
    assert found["app/b"].options == ("replicas",)
    assert found["app"].code == ("app.Top",)
    assert found[STILL].mark == "unchanged"
