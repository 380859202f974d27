"""Functions, globals and modules of the user's code are the same object after a journey."""

from __future__ import annotations

import functools
import io
import pickle
import threading
from typing import Any

from rootward.modules import ModuleBase
from rootward.modules.code.project import Project
from rootward.modules.state import live_objects, pickling, trees
from rootward.modules.tree import Tree

SHARED: list[int] = []
LOCK = threading.Lock()
MISSING = object()
double = lambda x: 2 * x  # noqa: E731


class Box(ModuleBase):
    """A module with whatever attributes."""

    def __init__(self, name: str | None = None, **parts: object) -> None:
        super().__init__(name=name)
        for key, value in parts.items():
            setattr(self, key, value)


inner = Box("inner")
outer = Box("outer", inner=inner, number=1)


def again(value: object) -> Any:
    buffer = io.BytesIO()
    pickling.pickler_class()(buffer, protocol=5).dump(value)
    return pickle.loads(buffer.getvalue())


def test_a_closure_keeps_its_modules_globals_and_its_own_cells() -> None:
    factor = 3
    made = again(lambda x, y=2: (SHARED, factor * x + y, again))
    assert made(1)[0] is SHARED
    assert made(1)[1] == 5
    assert made(1)[2] is again


def test_a_closure_that_calls_itself_and_one_with_nested_functions_travel() -> None:
    def down(n: int) -> list[int]:
        return [n, *down(n - 1)] if n else []

    def outer_function(x: int) -> int:
        return functools.reduce(lambda a, b: a + b, [inner_value(x) for _ in range(2)])

    def inner_value(x: int) -> int:
        return x + len(SHARED)

    assert again(down)(2) == [2, 1]
    assert again(outer_function)(4) == 8


def project() -> Project:
    return Project(str(Project.of_program().root))


def travel(root: ModuleBase) -> Any:
    known = live_objects.globals_of(project())
    return trees.unpack(trees.pack(Tree(root, "root"), known=known)).root


def test_what_cant_be_copied_is_the_codes_own_global() -> None:
    made = travel(Box(lock=LOCK, missing=MISSING, double=double))
    assert made.lock is LOCK
    assert made.missing is MISSING
    assert made.double is double


def test_modules_that_are_globals_are_filled_in_place() -> None:
    packed = trees.pack(Tree(outer, "root"), known=live_objects.globals_of(project()))
    outer.number = 2
    outer.stray = 3
    made: Any = trees.unpack(packed).root
    assert made is outer
    assert made.inner is inner
    assert made.number == 1
    assert not hasattr(outer, "stray")


def test_a_global_below_another_root_is_the_global() -> None:
    made = travel(Box(part=inner, other=Box("own")))
    assert made.part is inner
    assert made.other is not inner


def test_without_knowing_globals_everything_is_a_copy() -> None:
    made: Any = trees.unpack(trees.pack(Tree(outer, "root"))).root
    assert made is not outer
    assert made.inner is not inner
