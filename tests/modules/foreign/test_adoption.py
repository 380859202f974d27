"""Adapters for other frameworks: found by entry point, loaded when an object of theirs is met."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rootward.modules import ActionModule, ModuleBase, ServerModule
from rootward.modules.errors import ForeignError
from rootward.modules.foreign import adoption
from rootward.modules.state.target import as_module


class Theirs:
    """A module of another framework, as its adapter sees it."""

    def __init__(self, answer: int = 1) -> None:
        self.answer = answer

    def __call__(self) -> int:
        return self.answer


Theirs.__module__ = "framework_of_this_test.parts"


class Node(ModuleBase):
    def __init__(self, of: Theirs) -> None:
        super().__init__()
        self.of = of

    def _children(self) -> list[Any]:
        return []

    def forward(self) -> int:
        return self.of.answer


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have an adapter installed; the list tells of its loads."""
    loads: list[str] = []
    nodes: dict[int, Node] = {}

    def adopts(obj: Any) -> ModuleBase | None:
        if obj.answer < 0:
            raise ForeignError("a negative one can't be taken")
        return nodes.setdefault(id(obj), Node(obj)) if obj.answer else None

    def load() -> Any:
        loads.append("loaded")
        return SimpleNamespace(adopts=adopts)

    name = "framework_of_this_test"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(adoption, "_entry_points", {name: SimpleNamespace(load=load)})
    monkeypatch.setattr(adoption, "_adapters", {})
    return loads


def test_an_object_of_a_framework_is_a_module_wherever_one_can_be(loads: list[str]) -> None:
    class Parent(ModuleBase):
        pass

    parent, one = Parent(), Theirs()
    assert loads == []
    parent.own, parent.many, parent.flow = one, [one, Theirs()], ActionModule(Theirs()).action
    assert [type(child) for child in parent.submodules] == [Node, Node, Node]
    assert list(ServerModule(one).submodules) == [parent.submodules[0]]
    assert loads == ["loaded"]


def test_what_is_no_module_there_is_left_alone(loads: list[str]) -> None:
    class Parent(ModuleBase):
        pass

    parent = Parent()
    parent.thing = Theirs(0)
    parent.flow = ActionModule(Theirs(0)).action
    assert list(parent.submodules) == []
    assert adoption.adopted(3) is None


def test_what_can_not_be_taken_is_an_error_and_no_silence(loads: list[str]) -> None:
    with pytest.raises(ForeignError, match="a negative one"):
        ServerModule(Theirs(-1))
    with pytest.raises(ForeignError, match="a negative one"):
        _ = ActionModule(Theirs(-1)).submodules


def test_a_target_may_be_one(loads: list[str]) -> None:
    assert type(as_module(Theirs())) is Node
    assert as_module(Theirs(0)) is None
