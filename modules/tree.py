"""The walk of a module tree and the paths of its modules.

`walk` goes depth first, children before parents, each module once, without recursion, and names the
modules of a cycle.  `Tree` fixes the result under a name: every module gets the path by which the
walk reached it first.  The same tree gets the same paths in every process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import CycleError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .module import ModuleBase

_RESERVED = frozenset({"call", "docs", "healthz", "readyz", "metrics", "openapi.json", ".", ".."})


class Node:
    """One module of a tree: its path, and its children as indexes into the tree's nodes."""

    __slots__ = ("children", "module", "path")

    def __init__(self, module: ModuleBase, path: str, children: tuple[int, ...]) -> None:
        self.module = module
        self.path = path
        self.children = children

    def __repr__(self) -> str:
        return f"<Node {self.path}>"


class Tree:
    """A root and everything below it under a name; `nodes` stand children first, the root last.

    Raises CycleError.  A change of the modules' attributes afterwards does not change the tree.
    """

    __slots__ = ("_paths", "by_path", "name", "nodes", "root")

    def __init__(self, root: ModuleBase, name: str) -> None:
        self.root = root
        self.name = name
        self.nodes: list[Node] = []
        self._paths: dict[int, str] = {}
        index: dict[int, int] = {}
        for module, path, children in _visit(root, name):
            key = id(module)
            index[key] = len(self.nodes)
            self._paths[key] = path
            members = tuple(dict.fromkeys(index[id(child)] for child in children))
            self.nodes.append(Node(module, path, members))
        self.by_path = {node.path: node for node in self.nodes}

    def path_of(self, module: ModuleBase) -> str | None:
        """Return the module's path, or None for one that isn't of this tree."""
        return self._paths.get(id(module))

    def module_at(self, path: str) -> ModuleBase:
        """Return the module at `path`; KeyError when there is none."""
        return self.by_path[path].module

    def loaded_by(self, path: str) -> list[str]:
        """Return the paths of the modules that a replica of the one at `path` runs in its process.

        That is its subtree without other served modules and what is below those; children first.
        """
        start = self.nodes.index(self.by_path[path])
        inside = {start}
        stack = list(self.nodes[start].children)
        while stack:
            index = stack.pop()
            if index not in inside and not self.nodes[index].module.serves:
                inside.add(index)
                stack.extend(self.nodes[index].children)
        return [self.nodes[index].path for index in sorted(inside)]


def walk(root: ModuleBase) -> list[ModuleBase]:
    """Return the modules of the tree in post-order, each once; raises CycleError."""
    return [module for module, _, _ in _visit(root, "")]


def default_name(root: ModuleBase) -> str:
    """Return the name that a tree has when nobody gave one: the root's own, else its class's."""
    return slug(_own_name(root) or type(root).__name__) or "tree"


def slug(text: str) -> str:
    """Return `text` as a part of a path: lower case; anything but letters, digits, `._-` is `-`."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text.lower())


def _own_name(module: ModuleBase) -> str | None:
    name = getattr(module, "name", None)
    return name if isinstance(name, str) and name else None


class _Frame:
    """A module whose children are being visited."""

    __slots__ = ("children", "module", "path", "rest", "taken")

    def __init__(self, module: ModuleBase, path: str) -> None:
        self.module = module
        self.path = path
        self.children: list[ModuleBase] = []
        self.rest: Iterator[tuple[str | None, ModuleBase]] = iter(module._children())
        self.taken: dict[str, int] = {}


def _visit(root: ModuleBase, name: str) -> Iterator[tuple[ModuleBase, str, list[ModuleBase]]]:
    """Yield (module, path, children) in post-order."""
    stack = [_Frame(root, name)]
    open_ = {id(root)}
    done: set[int] = set()
    while stack:
        frame = stack[-1]
        step = next(frame.rest, None)
        if step is None:
            stack.pop()
            open_.discard(id(frame.module))
            done.add(id(frame.module))
            yield frame.module, frame.path, frame.children
            continue
        hint, child = step
        frame.children.append(child)
        if id(child) in open_:
            raise CycleError(_circle([each.module for each in stack], child))
        if id(child) not in done:
            open_.add(id(child))
            part = _unique(slug(_own_name(child) or hint or type(child).__name__), frame.taken)
            stack.append(_Frame(child, f"{frame.path}/{part}"))


def _unique(part: str, taken: dict[str, int]) -> str:
    """Choose the part, or the part with the first free number from 2 on, and take it.

    `taken` keeps the next number to try, so that many siblings of one name cost no search.
    """
    part = part or "module"
    number = taken.get(part, 2 if part in _RESERVED else 1)
    chosen = part if number == 1 else f"{part}-{number}"
    while chosen in taken:
        number += 1
        chosen = f"{part}-{number}"
    taken[part] = number + 1
    taken.setdefault(chosen, 2)
    return chosen


def _circle(stack: list[ModuleBase], again: ModuleBase) -> list[str]:
    start = next(index for index, module in enumerate(stack) if module is again)
    return [_label(module) for module in [*stack[start:], again]]


def _label(module: ModuleBase) -> str:
    name = _own_name(module)
    return f"{type(module).__name__} {name!r}" if name else type(module).__name__
