"""The table of what LazyLLM's users know: here, and with the real lazyllm where it is installed.

`scripts/lazyllm` installs it in an environment of its own and runs this folder there.
"""

from __future__ import annotations

import importlib
import importlib.util

import pytest

import rootward

from . import binding_cases, branching_cases, module_cases, parallel_cases, pipeline_cases
from .cases import CASES, Case, outcome

# Each adds its own to the table.
_ = (pipeline_cases, binding_cases, parallel_cases, branching_cases, module_cases)


@pytest.fixture(autouse=True)
def _forget_groups() -> object:
    register = rootward.module_register
    before = dict(register._groups)
    yield
    for name in register._groups.keys() - before.keys():
        del register._groups[name]
        delattr(rootward.modules, name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_flows_do_what_the_table_says(case: Case) -> None:
    assert outcome(rootward, case.run) == case.expected


@pytest.mark.skipif(
    importlib.util.find_spec("lazyllm") is None,
    reason="lazyllm is not installed; scripts/lazyllm installs it and runs this",
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_lazyllm_does_what_the_table_says(case: Case) -> None:
    lazyllm = importlib.import_module("lazyllm")
    assert outcome(lazyllm, case.run) == case.lazyllm


def test_every_difference_has_its_reason() -> None:
    differing = [case for case in CASES if case.lazyllm != case.expected]
    assert all(case.why for case in differing)
    assert all(case in differing for case in CASES if case.why)
