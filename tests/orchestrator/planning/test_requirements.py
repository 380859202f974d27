"""Requirements on evaluations: how they are written, and what meets them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootward.orchestrator.errors import PlanError
from rootward.orchestrator.planning.plan import Plan
from rootward.orchestrator.planning.requirements import (
    judge,
    parse_requirement,
    requirements_of,
)

PLAN = Plan(
    deployment="demo",
    modules=("demo/model", "demo"),
    steps=(("train", 0, ()), ("eval", 0, (0,)), ("eval", 1, (1,))),
)


@pytest.mark.parametrize(
    ("text", "path", "sign", "number", "is_relative"),
    [
        ("demo/model >= 0.9", "demo/model", ">=", 0.9, False),
        ("a.b-2_c>.5", "a.b-2_c", ">", 0.5, False),
        ("  m   <   -1e-3 ", "m", "<", -0.001, False),
        ("m == current", "m", "==", 0.0, True),
        ("m >= current - 0.01", "m", ">=", -0.01, True),
        ("m<=current+2", "m", "<=", 2.0, True),
    ],
)
def test_a_requirement_is_read(
    text: str, path: str, sign: str, number: float, is_relative: bool
) -> None:
    found = parse_requirement(text)
    assert (found.path, found.sign, found.number, found.is_relative) == (
        *(path, sign, number),
        is_relative,
    )


@pytest.mark.parametrize(
    "text",
    [
        *("", "m", "m >= ", ">= 1", "m => 1", "m != 1", "m >= x", "m >= current 1"),
        *("m >= current -", "m >= 1 or 2", "m >= nan", "m >= inf", "m >= 1e999"),
        *("m >= 1; n >= 2", "m >= 1\nn >= 2 x"),
    ],
)
def test_what_is_no_requirement_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(PlanError) as error:
        parse_requirement(text)
    assert repr(text) in str(error.value)


def test_a_path_may_leave_out_the_deployment_and_must_be_evaluated() -> None:
    (short, root) = requirements_of(["model >= 1", "demo < 2"], PLAN)
    assert (short.path, short.text, root.path) == ("demo/model", "demo/model >= 1", "demo")
    with pytest.raises(PlanError, match="did you mean demo/model"):
        requirements_of(["demo/modle >= 1"], PLAN)
    with pytest.raises(PlanError, match="give a module an `evalset`"):
        requirements_of(["model >= 1"], Plan(deployment="demo", modules=("demo/model",)))


def sentence(text: str, candidate: dict[str, Any], current: dict[str, Any] | None) -> str:
    verdict = judge([parse_requirement(text)], candidate, current)
    return f"{verdict.is_met} {verdict.reason}"


def test_the_verdict_tells_the_figures() -> None:
    assert sentence("m >= 0.9", {"m": 0.91}, None) == "True m is 0.91, and 'm >= 0.9' holds"
    assert sentence("m > current - 0.01", {"m": 0.8}, {"m": 0.9}) == (
        "False m is 0.8, current is 0.9, and 'm > current - 0.01' is required"
    )
    assert sentence("m > current", {"m": 1}, None) == (
        "True m is 1; nothing is current to compare it with ('m > current')"
    )
    assert sentence("m > current", {"m": 1}, {}) == (
        "False m is 1, and that of the current generation has no evaluation: "
        "'m > current' can't be compared"
    )
    both = judge(
        [parse_requirement(each) for each in ("m > 0", "m > 1", "n < 3")], {"m": 0.5, "n": 4}, None
    )
    assert (both.is_met, len(both.sentences)) == (False, 2)


@pytest.mark.parametrize("value", [None, True, "good", [1], {"m": 1}, math.nan, 10**400])
def test_what_is_no_number_never_meets_a_requirement(value: Any) -> None:
    """Neither as a candidate's result nor as the current one's."""
    for sign in (">=", "<=", "==", ">", "<"):
        assert not judge([parse_requirement(f"m {sign} 1")], {"m": value}, None).is_met
        relative = parse_requirement(f"m {sign} current")
        assert not judge([relative], {"m": 1.0}, {"m": value}).is_met


@settings(deadline=None)
@given(
    value=st.floats(allow_nan=False, allow_infinity=False),
    bound=st.floats(-1e9, 1e9),
    sign=st.sampled_from([">=", "<=", "==", ">", "<"]),
)
def test_a_number_is_compared_as_python_compares_it(value: float, bound: float, sign: str) -> None:
    found = judge([parse_requirement(f"m {sign} {bound!r}")], {"m": value}, None)
    assert found.is_met == eval(f"{value!r} {sign} {bound!r}")
