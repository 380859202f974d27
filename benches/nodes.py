"""The shapes as trees of modules, for rootward: `nodes:NAME` is a target for each shape's name.

Names have `_` for `-`, as attributes do. A node of the first stage is a train task, one of the
second a deploy task; its value is state, so a parent reads its children's as any module would.
"""

from __future__ import annotations

from collections.abc import Callable

from shapes import shape
from traces import work

from rootward.modules import ModuleBase


class Node(ModuleBase):
    """One node; `value` counts what is below it, and itself."""

    def __init__(self, number: int, stage: int, children: list[Node], shape_name: str) -> None:
        super().__init__(name=f"n{number}")
        self.number, self.stage, self.shape = number, stage, shape_name
        self.below = children

    def _get_train_tasks(self) -> Callable[[], None] | None:
        return None if self.stage else self.count

    def _get_deploy_tasks(self) -> Callable[[], None] | None:
        return self.count if self.stage else None

    def count(self) -> None:
        below = sum(child.value for child in self.below)
        self.value = work(self.number, below, shape(self.shape).sleep_s, self.shape)


def tree(name: str) -> Node:
    """Return the root of a shape's tree."""
    known = shape(name)
    nodes: list[Node] = []
    for number, below in enumerate(known.children):
        children = [nodes[child] for child in below]
        nodes.append(Node(number, known.stages[number], children, name))
    return nodes[-1]


def __getattr__(name: str) -> Callable[[], Node]:
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda: tree(name.replace("_", "-"))
