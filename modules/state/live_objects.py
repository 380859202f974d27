"""Modules of a tree that are also globals of the user's code.

Where the code is imported its globals are made again, and what the code reaches through them has to
be what the tree holds: `embedder` in a function is the embedder of the tree. So such modules are
named when a tree is packed, and their counterparts are filled in place when it is unpacked.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..code.main_file import ALIAS, names_sent
from ..code.project import is_rootward
from ..composite import Composite
from ..tree import Tree

if TYPE_CHECKING:
    from ..code.project import Project

Globals = Mapping[int, Sequence[str]]
"""Module and name of a global, by the number of a tree's node."""


def globals_of(project: Project) -> dict[int, tuple[str, str]]:
    """Return where each global of the project's modules is, by its id."""
    found: dict[int, tuple[str, str]] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not project.owns(file) or is_rootward(name):
            continue
        home = ALIAS if name == "__main__" else name
        if home == ALIAS and not names_sent():
            # It isn't imported elsewhere.
            continue
        for attribute, value in list(vars(module).items()):
            if not attribute.startswith("__"):
                found.setdefault(id(value), (home, attribute))
    return found


def named(tree: Tree, known: Mapping[int, tuple[str, str]]) -> dict[int, tuple[str, str]]:
    """Return which nodes of a tree are globals, by number."""
    places = ((number, known.get(id(node.module))) for number, node in enumerate(tree.nodes))
    return {number: place for number, place in places if place is not None}


def counterparts(shape: Sequence[Sequence[str]], globals_: Globals) -> dict[int, Composite]:
    """Return the objects of this process in whose place nodes of a packed tree are, by number.

    `shape` is class and name in its parent of each node. Where the root is a global whose tree has
    the same shape here, every node has its counterpart; else those that are globals themselves.
    """
    last = len(shape) - 1
    root = _global(globals_.get(last))
    if root is not None:
        here = Tree(root, shape[last][1])
        if shape_of(here) == [list(row) for row in shape]:
            return {number: node.module for number, node in enumerate(here.nodes)}
    found: dict[int, Composite] = {}
    used: set[int] = set()
    for number, place in globals_.items():
        module = _global(place)
        if module is None or id(module) in used or class_name(module) != shape[number][0]:
            continue
        used.add(id(module))
        found[number] = module
    return found


def shape_of(tree: Tree) -> list[list[str]]:
    """Return class and name in its parent of each node."""
    return [[class_name(node.module), node.part] for node in tree.nodes]


def class_name(module: Composite) -> str:
    """Return the name of a module's class, the same in every process."""
    cls = type(module)
    return f"{cls.__module__.replace('__mp_main__', '__main__')}.{cls.__qualname__}"


def _global(place: Sequence[str] | None) -> Composite | None:
    if place is None:
        return None
    name, attribute = place
    value: Any = getattr(sys.modules.get(name), attribute, None)
    return value if isinstance(value, Composite) else None
