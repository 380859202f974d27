"""Switch and ifs: which item is chosen, and what it gets."""

from __future__ import annotations

from typing import Any

import pytest

from rootward.modules import ModuleBase, ifs, package, switch


def test_the_first_condition_that_holds_chooses() -> None:
    flow = switch(lambda x: x > 10, lambda _: "big", 3, lambda _: "three", "default", str)
    assert [flow(20), flow(3), flow(4)] == ["big", "three", "4"]


def test_cases_may_be_a_dict_and_the_default_a_keyword() -> None:
    flow = switch({"a": lambda _: 1, "b": lambda _: 2}, default=lambda _: 3)
    assert [flow("a"), flow("b"), flow("c")] == [1, 2, 3]


def test_the_default_comes_last_wherever_it_stands() -> None:
    assert switch("default", str, 1, lambda _: "one")(1) == "one"


def test_no_match_and_no_default_is_none() -> None:
    assert switch(1, str)(2) is None


def test_cases_are_added_in_a_block() -> None:
    with switch(judge_on_full_input=False) as flow:
        flow.case[0 : lambda x: ("zero", x)]
        flow.case["one" :: lambda x: ("one", x)]
        flow.case["two", lambda x, y: ("two", x, y)]
        flow.case("default", lambda *rest: rest)
    assert flow(0, "x") == ("zero", "x")
    assert flow(package("one", "x")) == ("one", "x")
    assert flow("two", "x", "y") == ("two", "x", "y")
    assert flow(9, "x") == ("x",)


def test_judging_on_the_first_value_needs_two() -> None:
    with pytest.raises(ValueError, match="judge_on_full_input"):
        switch(1, str, judge_on_full_input=False)(1)


def test_a_conversion_makes_what_is_judged() -> None:
    assert switch("ab", lambda x: x, conversion=str.lower)("AB") == "AB"


def test_cases_come_in_pairs_and_have_no_names() -> None:
    with pytest.raises(TypeError, match="pairs"):
        switch(1, str, 2)
    with pytest.raises(AttributeError, match="case"), switch() as flow:
        flow.name = str


def test_ifs_chooses_by_its_condition() -> None:
    flow = ifs(lambda x: x > 0, lambda x: ("up", x), lambda x: ("down", x))
    assert [flow(1), flow(-1)] == [("up", 1), ("down", -1)]


def test_ifs_passes_all_arguments() -> None:
    flow = ifs(lambda a, b: a > b, lambda a, b: a - b, lambda a, b: b - a)
    assert [flow(3, b=1), flow(package(1, 3))] == [2, 2]


def test_without_a_second_path_the_input_comes_back() -> None:
    assert ifs(lambda x: x > 0, str)(-1) == -1


@pytest.mark.parametrize(("condition", "expected"), [(True, "1"), (0, 1), (lambda: True, "1")])
def test_a_condition_may_be_a_value_or_take_nothing(condition: Any, expected: Any) -> None:
    assert ifs(condition, str)(1) == expected


class Part(ModuleBase):
    def forward(self, value: Any) -> Any:
        return value


def test_all_branches_and_conditions_are_part_of_the_tree() -> None:
    a, b, c, d, e = (Part(name=letter) for letter in "abcde")
    root = Part()
    root.flows = [switch(a, b, default=c), ifs(Part(name="cond"), d, e)]
    assert [module.name for module in root.submodules] == ["b", "c", "a", "d", "e", "cond"]
