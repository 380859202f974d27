"""Trees are drawn to the character, each thing in full once, whatever their depth."""

from __future__ import annotations

import functools
from typing import Any

from rootward.modules import (
    ActionModule,
    ModuleBase,
    UrlModule,
    bind,
    ifs,
    make_repr,
    parallel,
    pipeline,
)


class Box(ModuleBase):
    def __init__(self, name: str | None = None, **parts: Any) -> None:
        super().__init__(name=name)
        for key, part in parts.items():
            setattr(self, key, part)


def test_make_repr_writes_category_type_name_and_attributes() -> None:
    assert make_repr("Module", Box, name="a", attrs={"x": 1}, y=[]) == (
        "<Module type=Box name=a x=1 y=[]>"
    )


def test_make_repr_draws_what_is_below() -> None:
    inner = make_repr("Module", "In", subs=["<a>", "<b>\n└- <c>"])
    assert make_repr("Module", "Out", subs=[inner, "<d>"]).split("\n") == [
        "<Module type=Out>",
        "|- <Module type=In>",
        "|   |- <a>",
        "|   └- <b>",
        "|       └- <c>",
        "└- <d>",
    ]


def test_flows_show_the_names_of_their_items() -> None:
    flow = pipeline(a=len, b=parallel(str, c=Box("m")))
    assert repr(flow).split("\n") == [
        "<Flow type=Pipeline items=['a', 'b']>",
        "|- <Function type=builtin_function_or_method name=len>",
        "└- <Flow type=Parallel items=['c']>",
        "    |- <Function type=type name=str>",
        "    └- <Module type=Box name=m>",
    ]


def f(value: int) -> int:
    return value


def test_functions_are_named() -> None:
    flow = pipeline(f, lambda x: x, functools.partial(f, 1), bind(f, 1))
    assert repr(flow).split("\n")[1:] == [
        "|- <Function type=function name=f>",
        "|- <Function type=function name=lambda>",
        "|- <Function type=partial>",
        "└- <Function type=function name=f>",
    ]


def test_an_action_and_its_pipeline_share_a_line() -> None:
    assert repr(ActionModule(ifs(f, f, f), name="act")).split("\n") == [
        "<Module type=Action name=act return_trace=False sub-category=Flow type=Pipeline items=[]>",
        "└- <Flow type=IFS items=[]>",
        "    |- <Function type=function name=f>",
        "    └- <Function type=function name=f>",
    ]


def test_a_url_module_shows_its_url() -> None:
    assert repr(UrlModule("http://host:1")) == (
        "<Module type=Url url=http://host:1 stream=False return_trace=False>"
    )


def test_what_is_held_twice_is_drawn_in_full_once() -> None:
    shared = Box("shared", inner=Box("inner"))
    assert repr(Box(a=Box("a", s=shared), s=shared)).split("\n") == [
        "<Module type=Box>",
        "|- <Module type=Box name=a>",
        "|   └- <Module type=Box name=shared>",
        "|       └- <Module type=Box name=inner>",
        "└- <Module type=Box name=shared>",
    ]


def test_a_cycle_can_be_shown() -> None:
    root = Box("root", child=Box("child"))
    root.child.back = root
    assert repr(root).count("\n") == 2


def test_twenty_layers_of_diamonds_are_no_longer_than_the_tree() -> None:
    bottom = Box("bottom")
    for _ in range(20):
        bottom = Box(left=Box(below=bottom), right=Box(below=bottom))
    assert repr(bottom).count("\n") == 80


def test_a_deep_chain_is_cut() -> None:
    root = leaf = Box("m")
    for _ in range(5_000):
        leaf.child = Box("m")
        leaf = leaf.child
    lines = repr(root).split("\n")
    assert len(lines) < 200
    assert lines[-1].endswith("└- ...")


def test_a_class_that_writes_its_own_repr_is_asked_for_it() -> None:
    class Own(ModuleBase):
        def __repr__(self) -> str:
            return make_repr("Module", "Own", subs=["<hidden>"])

    root = Box(own=Own())
    assert repr(root) == "<Module type=Box>\n└- <Module type=Own>\n    └- <hidden>"
    assert repr(root.submodules) == "[<Module type=Own>]"
