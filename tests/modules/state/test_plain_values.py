"""Reading values out of a state entry without a tree and without any of the user's classes."""

from __future__ import annotations

import fractions
from typing import Any

import pytest

from rootward.modules import ModuleBase
from rootward.modules.errors import CodecError
from rootward.modules.evaluation.account import ACCOUNT, account_of
from rootward.modules.state import entries, state_log
from rootward.modules.tree import Tree


def entry(**attributes: Any) -> bytes:
    """Return what a task of a module records that sets the attributes."""
    tree = Tree(ModuleBase(), "m")
    with state_log.Recorder(tree, "m", 1 << 20) as recorder:
        for name, value in attributes.items():
            setattr(recorder.module, name, value)
    (made,) = recorder.changes()
    return made


def test_plain_data_is_read_and_the_rest_left_out() -> None:
    """A tuple comes as a list; what is pickled isn't looked at."""
    made = entry(a=1, b=(1, {"x": [2.5], 7: 1}), c=fractions.Fraction(1, 3), d=2**80)
    assert entries.plain_values(made, ("a", "b", "c", "d", "e")) == [
        ("m", {"a": 1, "b": [1, {"x": [2.5], 7: 1}], "d": 2**80}),
    ]


def test_what_is_no_entry_is_an_error() -> None:
    """Never something else."""
    with pytest.raises(CodecError):
        entries.plain_values(b"\xff\x00", ("a",))


@pytest.mark.parametrize(
    ("result", "value"),
    [(0.5, 0.5), ([1, 2], [1, 2]), (object(), None), (float("nan"), None), ("x" * (1 << 21), None)],
)
def test_a_result_is_json_or_none_beside_its_short_repr(result: Any, value: Any) -> None:
    """What has no JSON form, or is too long, is told by its repr alone."""
    account = account_of(result)
    assert account["result"] == value
    assert 0 < len(account["result_repr"]) <= 200


def accuracy(results: list[Any]) -> float:
    return sum(results) / len(results)


def test_an_evaluation_leaves_its_account_beside_the_result() -> None:
    """With the name of the measure; it is no state of the user's."""

    class Echo(ModuleBase):
        def forward(self, x: float) -> float:
            return x

    module = Echo()
    module.evalset([1.0, 3.0], collect_f=accuracy)
    module.eval()
    account = vars(module)[ACCOUNT]
    assert (account["result"], account["measure"], account["items"]) == (2.0, "accuracy", 2)
    assert account["seconds"] >= 0
    assert list(module.state_dict()) == ["eval_result"]
