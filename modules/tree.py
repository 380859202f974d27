"""The walk of a module tree and the paths of its modules.

`walk` goes depth first, children before parents, each module once, without recursion, and names the
modules of a cycle.  `Tree` fixes the result under a name: every module gets the path by which the
walk reached it first.  The same tree gets the same paths in every process.
"""

from __future__ import annotations

from .errors import CycleError
from .processes.gc_pause import GcPaused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .composite import Child, Composite

_RESERVED = frozenset({"call", "docs", "healthz", "readyz", "metrics", "openapi.json", ".", ".."})
# Of the modules of a circle.
_SHOWN = 20
# Characters, of all paths of a tree.
_MOST_LEARNED = 1 << 23
# In place of the place of a module that is being visited.
_OPEN = -1


class TreeNode:
    """One module of a tree: its path, and its children as indexes into the tree's nodes.

    A path is put together when it is asked for: kept for every module, the paths of a deep chain
    would take memory that grows with the square of its length.
    """

    __slots__ = ("children", "module", "parent", "part")

    def __init__(self, module: Composite, part: str, parent: TreeNode | None) -> None:
        self.module = module
        self.part = part
        self.parent = parent
        self.children: tuple[int, ...] = ()

    @property
    def path(self) -> str:
        """The parts from the root on, joined by `/`."""
        parts = [self.part]
        node = self.parent
        while node is not None:
            parts.append(node.part)
            node = node.parent
        return "/".join(reversed(parts))

    def __repr__(self) -> str:
        return f"<TreeNode {self.path}>"


class Tree:
    """A root and everything below it under a name; `nodes` stand children first, the root last.

    Raises CycleError.  A change of the modules' attributes afterwards does not change the tree.
    """

    __slots__ = ("_by_path", "_index", "_inside", "name", "nodes", "root")

    def __init__(self, root: Composite, name: str) -> None:
        self.root = root
        self.name = name
        with GcPaused():
            self.nodes, self._index = _visit(root, name)
        self._by_path: dict[str, TreeNode] = {}
        self._inside: dict[TreeNode, dict[str, TreeNode]] = {}

    def paths(self) -> list[str]:
        """Return the paths of all nodes in their order, sooner than by asking each."""
        paths = [""] * len(self.nodes)
        # A parent stands behind its children: from the end on, its path is there already.
        for index in range(len(paths) - 1, -1, -1):
            node = self.nodes[index]
            parent = node.parent
            if parent is None:
                paths[index] = node.part
            else:
                paths[index] = f"{paths[self._index[id(parent.module)]]}/{node.part}"
        return paths

    def learn_paths(self) -> None:
        """Have all paths at hand, for processes that look for most of the modules.

        Not those of a deep chain: they would take memory that grows with the square of its length.
        """
        lengths = [0] * len(self.nodes)
        for index in range(len(lengths) - 1, -1, -1):
            node = self.nodes[index]
            above = 0 if node.parent is None else lengths[self._index[id(node.parent.module)]]
            lengths[index] = above + len(node.part) + 1
        if sum(lengths) <= _MOST_LEARNED:
            self._by_path = dict(zip(self.paths(), self.nodes, strict=True))

    def holds(self, module: object) -> bool:
        """Whether the object is a module of this tree."""
        return id(module) in self._index

    def path_of(self, module: Composite) -> str | None:
        """Return the module's path, or None for one that isn't of this tree."""
        index = self._index.get(id(module))
        return None if index is None else self.nodes[index].path

    def module_at(self, path: str) -> Composite:
        """Return the module at `path`; KeyError when there is none."""
        return self.node_at(path).module

    def node_at(self, path: str) -> TreeNode:
        """Return the node at `path`; KeyError when there is none."""
        known = self._by_path.get(path)
        if known is not None:
            return known
        first, *rest = path.split("/")
        node = self.nodes[-1]
        if first != node.part:
            raise KeyError(path)
        for part in rest:
            inside = self._inside.get(node)
            if inside is None:
                below = (self.nodes[index] for index in node.children)
                inside = {child.part: child for child in below if child.parent is node}
                self._inside[node] = inside
            if part not in inside:
                raise KeyError(path)
            node = inside[part]
        self._by_path[path] = node
        return node

    def loaded_by(self, path: str) -> list[str]:
        """Return the paths of the modules that a replica of the one at `path` runs in its process.

        That is its subtree without other served modules and what is below those; children first.
        """
        start = self._index[id(self.node_at(path).module)]
        inside = {start}
        stack = list(self.nodes[start].children)
        while stack:
            index = stack.pop()
            if index not in inside and not self.nodes[index].module.serves:
                inside.add(index)
                stack.extend(self.nodes[index].children)
        return [self.nodes[index].path for index in sorted(inside)]


def walk(root: Composite) -> list[Composite]:
    """Return the modules of the tree in post-order, each once; raises CycleError."""
    return [node.module for node in _visit(root, "")[0]]


def default_name(root: Composite) -> str:
    """Return the name that a tree has when nobody gave one: the root's own, else its class's."""
    return root_part(_own_name(root) or root.class_name)


def root_part(text: str) -> str:
    """Return the part of a root that is to be called `text`: a slug, and no reserved word."""
    return _unique(slug(text) or "module", {})


def slug(text: str) -> str:
    """Return `text` as a part of a path: lower case; anything but letters, digits, `._-` is `-`.

    Letters and digits of any script stay, each in its one composed spelling.
    """
    if text.isascii():
        if text.isidentifier():
            return text if text.islower() else text.lower()
    else:
        import unicodedata

        text = unicodedata.normalize("NFC", text)
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text.lower())


def _own_name(module: Composite) -> str | None:
    name = getattr(module, "name", None)
    return name if isinstance(name, str) and name else None


def _visit(root: Composite, name: str) -> tuple[list[TreeNode], dict[int, int]]:
    """Return the nodes in post-order, and the place of each by the id of its module."""
    nodes: list[TreeNode] = []
    places = {id(root): _OPEN}
    # What is being visited: the node, its children that are left, the places of those that were
    # visited, and the parts that they have.
    stack: list[tuple[TreeNode, Iterator[Child], list[int], dict[str, int]]]
    stack = [(TreeNode(root, name, None), iter(root._children()), [], {})]
    while stack:
        above, rest, below, taken = stack[-1]
        for hint, number, child in rest:
            place = places.get(id(child))
            if place is None:
                part = _part(child, hint, number)
                if part in taken or part in _RESERVED:
                    part = _unique(part, taken)
                else:
                    taken[part] = 2
                node = TreeNode(child, part, above)
                children = child._children()
                if children:
                    places[id(child)] = _OPEN
                    stack.append((node, iter(children), [], {}))
                    break
                # Most modules are leaves: they need no place on the stack.
                place = places[id(child)] = len(nodes)
                nodes.append(node)
            elif place == _OPEN:
                raise CycleError(_circle([each[0].module for each in stack], child))
            below.append(place)
        else:
            stack.pop()
            place = places[id(above.module)] = len(nodes)
            nodes.append(above)
            above.children = tuple(dict.fromkeys(below))
            if stack:
                stack[-1][2].append(place)
    return nodes, places


def _part(module: Composite, hint: str | None, number: int | None) -> str:
    """Return what the module would be called in its path, if no sibling were called so."""
    name = _own_name(module)
    if name is None and hint:
        name = hint if number is None else f"{hint}.{number}"
    return slug(name or module.class_name) or "module"


def _unique(part: str, taken: dict[str, int]) -> str:
    """Choose the part, or the part with the first free number from 2 on, and take it.

    `taken` keeps the next number to try, so that many siblings of one name cost no search.
    """
    if part not in taken and part not in _RESERVED:
        taken[part] = 2
        return part
    number = taken.get(part, 2 if part in _RESERVED else 1)
    chosen = part if number == 1 else f"{part}-{number}"
    while chosen in taken:
        number += 1
        chosen = f"{part}-{number}"
    taken[part] = number + 1
    taken.setdefault(chosen, 2)
    return chosen


def _circle(stack: list[Composite], again: Composite) -> list[str]:
    start = next(index for index, module in enumerate(stack) if module is again)
    circle = [_label(module) for module in [*stack[start:], again]]
    if len(circle) > _SHOWN:
        circle[_SHOWN // 2 : -_SHOWN // 2] = ["..."]
    return circle


def _label(module: Composite) -> str:
    name = _own_name(module)
    return f"{type(module).__name__} {name!r}" if name else type(module).__name__
