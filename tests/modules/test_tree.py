"""The walk meets each module once, children first; paths are unique, stable and fit a URL."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootward.modules import ActionModule, ModuleBase, parallel
from rootward.modules.errors import CycleError
from rootward.modules.tree import Tree, default_name, slug, walk


class Box(ModuleBase):
    def __init__(self, name: str | None = None, **parts: Any) -> None:
        super().__init__(name=name)
        for key, part in parts.items():
            setattr(self, key, part)


class Served(Box):
    serves = True


def paths(root: ModuleBase, name: str = "r") -> list[str]:
    return [node.path for node in Tree(root, name).nodes]


def test_children_come_before_parents_in_order_of_insertion() -> None:
    root = Box("root", b=Box("b", x=Box("x")), a=Box("a"))
    assert [module.name for module in walk(root)] == ["x", "b", "a", "root"]


def test_a_shared_module_has_the_path_by_which_it_was_reached_first() -> None:
    shared = Box("shared")
    root = Box(left=Box(inner=shared), right=Box(inner=shared))
    assert paths(root) == ["r/left/shared", "r/left", "r/right", "r"]
    tree = Tree(root, "r")
    assert tree.nodes[2].children == (0,)


def test_names_come_from_the_module_the_attribute_or_the_class() -> None:
    root = Box(plain=Box(), own=Box("My Name"), flow=parallel(Box(), step=Box()))
    assert paths(root)[:-1] == ["r/plain", "r/my-name", "r/box", "r/step"]


def test_members_of_lists_and_dicts_are_called_by_their_place() -> None:
    root = Box(children=[Box(), [Box()]], parts={"served": Box(), 7: Box()})
    assert paths(root)[:-1] == ["r/children.0", "r/children.1.0", "r/parts.served", "r/parts.7"]


def test_siblings_of_one_name_are_numbered() -> None:
    root = ActionModule(Box("m"), Box("m-2"), Box("m"), Box("m"))
    assert paths(root)[:-1] == ["r/m", "r/m-2", "r/m-3", "r/m-4"]


@pytest.mark.parametrize("name", ["call", "docs", "healthz", "readyz", "metrics", ".", ".."])
def test_a_route_of_a_replica_is_no_name(name: str) -> None:
    assert paths(Box(a=Box(name), b=Box(name)))[:-1] == [f"r/{name}-2", f"r/{name}-3"]
    assert default_name(Box(name)) == f"{name}-2"


def test_the_openapi_document_is_no_name() -> None:
    assert paths(Box(a=Box("openapi.json")))[0] == "r/openapi.json-2"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Hello World", "hello-world"),
        ("a/b", "a-b"),
        ("模块", "模块"),
        ("e\N{COMBINING ACUTE ACCENT}", "é"),
        ("v1.0_x-y", "v1.0_x-y"),
    ],
)
def test_a_part_keeps_letters_and_digits_of_any_script(text: str, part: str) -> None:
    assert slug(text) == part


@given(st.text())
def test_a_part_is_a_part_already(text: str) -> None:
    assert slug(slug(text)) == slug(text)


@given(st.lists(st.sampled_from(["a", "a-2", "A", "a 2", "call", "call-2", ""]), max_size=12))
def test_paths_are_unique_and_lead_back(names: list[str]) -> None:
    tree = Tree(Box(parts=[Box(name, inner=Box(name)) for name in names]), "r")
    all_paths = [node.path for node in tree.nodes]
    assert len(set(all_paths)) == len(all_paths)
    assert tree.paths() == all_paths
    for node in tree.nodes:
        assert tree.module_at(node.path) is node.module
        assert tree.path_of(node.module) == node.path


@pytest.mark.parametrize("path", ["", "x", "r/", "r/none", "r/a/none", "r/ainner"])
def test_an_unknown_path_is_a_key_error(path: str) -> None:
    with pytest.raises(KeyError):
        Tree(Box(a=Box()), "r").module_at(path)


def test_learned_paths_are_those_that_are_found_by_walking() -> None:
    tree, learned = (Tree(Box(a=Box(b=Box()), c=Box()), "root") for _ in range(2))
    learned.learn_paths()
    assert learned.paths() == tree.paths()
    for path in tree.paths():
        assert learned.path_of(learned.module_at(path)) == path
    with pytest.raises(KeyError):
        learned.module_at("root/none")


def test_the_paths_of_a_deep_chain_are_not_learned() -> None:
    """They would take memory that grows with the square of its length."""
    box = Box()
    for _ in range(3000):
        box = Box(a=box)
    tree = Tree(box, "root")
    tree.learn_paths()
    assert not tree._by_path
    assert tree.path_of(tree.nodes[0].module) == tree.nodes[0].path


def test_a_module_of_another_tree_has_no_path() -> None:
    assert Tree(Box(), "r").path_of(Box()) is None


def test_a_cycle_is_an_error_that_names_its_modules() -> None:
    inner = Box("inner")
    root = Box("outside", middle=Box("middle", inner=inner))
    inner.back = root.middle
    with pytest.raises(CycleError, match=r"Box 'middle' -> Box 'inner' -> Box 'middle'") as caught:
        walk(root)
    assert "outside" not in str(caught.value)


def test_a_module_that_holds_itself_is_a_cycle() -> None:
    root = Box("alone")
    root.me = [root]
    with pytest.raises(CycleError, match="alone"):
        Tree(root, "r")


def test_a_long_cycle_is_told_in_short() -> None:
    root = leaf = Box("m")
    for _ in range(1_000):
        leaf.next = Box("m")
        leaf = leaf.next
    leaf.next = root
    with pytest.raises(CycleError) as caught:
        walk(root)
    assert len(str(caught.value)) < 1_000


def test_a_chain_beyond_the_recursion_limit_is_walked() -> None:
    depth = sys.getrecursionlimit() * 20
    root = leaf = Box("m")
    for _ in range(depth):
        leaf.child = Box("m")
        leaf = leaf.child
    tree = Tree(root, "r")
    assert len(tree.nodes) == depth + 1
    assert tree.module_at(tree.nodes[0].path) is leaf


def test_layers_of_diamonds_are_walked_once_each() -> None:
    bottom = Box("bottom")
    for _ in range(20):
        bottom = Box(left=Box(below=bottom), right=Box(below=bottom))
    assert len(walk(bottom)) == 61


def test_many_siblings_of_one_name_are_named_in_linear_time() -> None:
    root = Box(parts=[Box("same") for _ in range(20_000)])
    assert paths(root)[-2] == "r/same-20000"


def test_a_replica_loads_its_subtree_without_other_served_modules() -> None:
    shared = Box("shared")
    inner = Served("inner", below=Box("below"), shared=shared)
    root = Served("root", plain=Box("plain", inner=inner, leaf=Box("leaf")), shared=shared)
    tree = Tree(root, "r")
    assert tree.loaded_by("r/plain/inner") == [
        "r/plain/inner/below", "r/plain/inner/shared", "r/plain/inner",
    ]  # fmt: skip
    assert tree.loaded_by("r") == ["r/plain/inner/shared", "r/plain/leaf", "r/plain", "r"]
