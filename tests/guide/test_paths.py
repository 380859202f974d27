"""Where a module is found: every path comes from names, attributes and classes."""

from __future__ import annotations

import pytest

from rootward.modules import ModuleBase, ServerModule
from rootward.orchestrator.client.client import plan


class Part(ModuleBase):
    def _get_train_tasks(self) -> object:
        return lambda: None


def paths(root: ModuleBase, name: str | None = None) -> list[str | None]:
    return [task.module for task in plan(root, ("train",), name=name).tasks]


def test_a_name_comes_before_the_attribute_and_that_before_the_class() -> None:
    root = ModuleBase(name="root")
    root.a, root.b = Part(name="own"), Part()
    assert paths(root) == ["root/own", "root/b"]


def test_members_of_lists_and_dicts() -> None:
    root = ModuleBase(name="root")
    root.children, root.parts = [Part(), Part()], {"served": Part()}
    assert paths(root) == ["root/children.0", "root/children.1", "root/parts.served"]


def test_two_of_one_name_are_told_apart() -> None:
    root = ModuleBase(name="root")
    root.a, root.b = Part(name="m"), Part(name="m")
    assert paths(root) == ["root/m", "root/m-2"]


def test_a_name_becomes_a_slug_of_any_script() -> None:
    root = ModuleBase(name="root")
    root.a, root.b = Part(name="Größe Nr. 1"), Part(name="数字")
    assert paths(root) == ["root/größe-nr.-1", "root/数字"]


@pytest.mark.parametrize("word", ["call", "docs", "healthz", "readyz", "metrics", "openapi.json"])
def test_a_route_of_a_replica_is_nobodys_last_part(word: str) -> None:
    root = ModuleBase(name="root")
    root.part = Part(name=word)
    assert paths(root) == [f"root/{word}-2"]
    assert paths(Part(name=word)) == [f"{word}-2"]
    assert paths(Part(), name=word) == [f"{word}-2"]


def test_a_shared_module_has_one_path_and_one_task() -> None:
    shared = Part(name="shared")
    root = ModuleBase(name="root")
    root.left, root.right = ModuleBase(), ModuleBase()
    for parent in root.submodules:
        parent.x = shared
    assert paths(root) == ["root/left/shared"]


def test_a_plan_is_made_of_a_function_that_returns_a_tree() -> None:
    assert paths(lambda: ServerModule(Part(name="p"), name="s")) == ["s/p"]  # type: ignore[arg-type]
