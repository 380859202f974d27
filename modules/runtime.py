"""What a module knows of where it stands, in a process that has deployed or loaded its tree.

It is no attribute of the user's: nothing of it is searched for submodules, recorded or sent.
"""

from __future__ import annotations

from .composite import Composite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .rpc.client import Routes
    from .tree import Tree, TreeNode

# The slot itself: `__setattr__`, which the user's class may have too, hears of changes only.
_set_runtime = Composite._runtime.__set__  # type: ignore[union-attr]


class Runtime:
    """Where a module of a deployed or loaded tree stands: path, tree, the way to endpoints.

    Few modules are asked for their path, and all paths of a deep tree together are long: it is put
    together for the first who asks.
    """

    __slots__ = ("_node", "_path", "routes", "tree")

    def __init__(self, node: TreeNode, routes: Routes | None, tree: Tree) -> None:
        self._node = node
        self._path: str | None = None
        self.routes = routes
        self.tree = tree

    @property
    def path(self) -> str:
        """The path of the module in its tree."""
        if self._path is None:
            self._path = self._node.path
        return self._path


def attach(tree: Tree, routes: Routes | None) -> None:
    """Let each module of a tree know where it stands, and whom it can call."""
    for node in tree.nodes:
        _set_runtime(node.module, Runtime(node, routes, tree))
