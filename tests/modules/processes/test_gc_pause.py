"""The search for garbage waits while a tree is read, and goes on as it was."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

import pytest

from rootward.modules import ModuleBase
from rootward.modules.processes.gc_pause import GcPaused
from rootward.modules.tree import Tree


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Leave the search as it was found."""
    was_on = gc.isenabled()
    yield
    (gc.enable if was_on else gc.disable)()


@pytest.mark.parametrize("was_on", [True, False])
def test_the_search_is_afterwards_as_it_was(was_on: bool) -> None:
    """Also after an error, and when one stands in the other."""
    (gc.enable if was_on else gc.disable)()
    inside = []
    with contextlib.suppress(KeyError), GcPaused(), GcPaused():
        inside.append(gc.isenabled())
        raise KeyError
    assert inside == [False]
    assert gc.isenabled() is was_on


def test_a_large_tree_is_walked_without_a_search() -> None:
    """A search costs as much as there are objects, each time."""
    root = ModuleBase(name="root")
    root.parts = [ModuleBase(name=f"m{number}") for number in range(5_000)]
    searches: list[str] = []
    gc.enable()
    gc.callbacks.append(lambda phase, _: searches.append(phase))
    try:
        Tree(root, "r")
    finally:
        gc.callbacks.pop()
    assert not searches
