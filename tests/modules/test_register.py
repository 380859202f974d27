"""Functions become classes of modules, found by group and name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from rootward import modules
from rootward.modules import ModuleBase, module_register


@pytest.fixture
def group() -> Iterator[str]:
    name = "group_of_this_test"
    module_register.new_group(name)
    yield name
    del module_register._groups[name]
    delattr(modules, name)


def test_a_registered_function_is_a_class_in_its_group(group: str) -> None:
    @module_register(group)
    def Twice(value: int, *, more: int = 0) -> int:  # noqa: N802 - found in any case
        """Double it."""
        return value * 2 + more

    made = getattr(modules, group).twice(name="t")
    assert isinstance(made, ModuleBase)
    assert (made(2, more=1), Twice(2)) == (5, 4)
    assert repr(made) == "<Module type=Twice name=t>"
    assert getattr(modules, group).TWICE is type(made)
    assert type(made).__doc__ == "Double it."


def test_streams_and_another_name_can_be_registered(group: str) -> None:
    @module_register(group, "letters")
    def _split(text: str) -> Any:
        yield from text

    assert list(getattr(modules, group).letters()("ab")) == ["a", "b"]


def test_a_name_is_registered_once(group: str) -> None:
    @module_register(group)
    def same() -> int:
        return 1

    with pytest.raises(ValueError, match=f"{group}.SAME is registered already"):
        module_register(group, "SAME")(lambda: 2)
    assert getattr(modules, group).same()() == 1


def test_the_same_code_that_runs_again_takes_its_place_anew(group: str) -> None:
    for number in (1, 2):
        module_register(group, "same")(lambda number=number: number)
    assert getattr(modules, group).same()() == 2


def test_groups_have_groups(group: str) -> None:
    module_register(f"{group}.inner.most", "one")(lambda value: value + 1)
    module_register.new_group(f"{group}.empty")
    made = getattr(modules, group)
    assert made.inner.most.one()(1) == 2
    assert dir(made) == ["empty", "inner"]
    with pytest.raises(ValueError, match="is a module, and can't be a group"):
        module_register(f"{group}.inner.most.one")(len)
    with pytest.raises(ValueError, match="is registered already"):
        module_register(group, "inner")(len)


def test_a_group_of_one_module_can_be_called_in_its_place(group: str) -> None:
    module_register(group, "only")(lambda value: value + 1)
    made = getattr(modules, group)
    assert (made()(1), made(name="n").name) == (2, "n")
    module_register(group, "more")(len)
    with pytest.raises(TypeError, match=r"has 2: \['more', 'only'\]"):
        made()


def test_an_unknown_name_tells_the_known_ones(group: str) -> None:
    module_register(group)(len)
    with pytest.raises(AttributeError, match=r"'size'.*'len'"):
        _ = getattr(modules, group).size


def test_an_unknown_group_says_how_it_is_made() -> None:
    with pytest.raises(KeyError, match="new_group"):
        module_register("nowhere")


def test_a_group_made_again_keeps_what_it_has(group: str) -> None:
    module_register(group)(len)
    module_register.new_group(group)
    assert dir(getattr(modules, group)) == ["len"]


@pytest.mark.parametrize("name", ["pipeline", "module", "flows", "executor", "a b", "_x", ""])
def test_a_group_hides_no_name_of_the_package(name: str) -> None:
    before = sys.modules["rootward.modules"].__dict__.get(name)
    with pytest.raises(ValueError, match="no group"):
        module_register.new_group(name)
    assert sys.modules["rootward.modules"].__dict__.get(name) is before or name in modules.__all__


def test_an_object_of_a_registered_class_travels_by_value(group: str) -> None:
    from rootward.modules.state import trees
    from rootward.modules.tree import Tree

    module_register(group, "third")(lambda value: value / 3)
    made = getattr(modules, group).third(name="third")
    assert trees.unpack(trees.pack(Tree(made, "third"))).root(9) == 3
