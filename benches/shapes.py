"""The shapes of trees that the engine benchmarks run: who waits for whom, and how long each sleeps.

A shape is a list of nodes in post-order: the children of a node stand before it, and the last one
is the root. It knows nothing of who runs it. The same size gives the same shape in every process.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

SLOTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """`children[n]` are the nodes that node n waits for; `stages[n]` is 0, or 1 for the second.

    No node of the second stage starts before all of the first have ended.
    """

    name: str
    children: Sequence[Sequence[int]]
    stages: Sequence[int]
    sleep_s: float = 0.0

    def __len__(self) -> int:
        return len(self.children)

    @property
    def depth(self) -> int:
        """The number of nodes on the longest way from a leaf to the root."""
        levels: list[int] = []
        for below in self.children:
            levels.append(1 + max((levels[child] for child in below), default=0))
        return levels[-1]

    @property
    def root_value(self) -> int:
        """What the root must count: every node is one and what its children count."""
        return len(self)

    @property
    def second(self) -> int:
        """The first node of the second stage; their number when there is one stage."""
        return self.stages.index(1) if 1 in self.stages else len(self)

    def leaves(self, stage: int) -> list[str]:
        """Return the tasks of a stage that wait for no other task of it, as NAME/NUMBER."""
        return [
            f"{self.name}/{node}"
            for node, below in enumerate(self.children)
            if not below and self.stages[node] == stage
        ]

    def ideal_s(self, slots: int = SLOTS) -> float:
        """Return the makespan of a schedule that costs nothing, longest way to the root first."""
        waits = [len(below) for below in self.children]
        parent = parents(self.children)
        height = [0] * len(self)
        for node in range(len(self) - 2, -1, -1):
            height[node] = height[parent[node]] + 1
        ready = [(-height[node], node) for node, count in enumerate(waits) if not count]
        heapq.heapify(ready)
        rounds = 0
        while ready:
            batch = [heapq.heappop(ready) for _ in range(min(slots, len(ready)))]
            rounds += 1
            for _, node in batch:
                if node == len(self) - 1:
                    continue
                waits[parent[node]] -= 1
                if not waits[parent[node]]:
                    heapq.heappush(ready, (-height[parent[node]], parent[node]))
        return rounds * self.sleep_s


def parents(children: Sequence[Sequence[int]]) -> list[int]:
    """Return each node's parent; the root's is -1."""
    above = [-1] * len(children)
    for node, below in enumerate(children):
        for child in below:
            above[child] = node
    return above


def _flat(count: int) -> list[list[int]]:
    return [[] for _ in range(count)] + [list(range(count))]


def _chain(count: int) -> list[list[int]]:
    return [[node - 1] if node else [] for node in range(count)]


def _full(fan_out: int, count: int) -> list[list[int]]:
    """A tree of `count` nodes that is filled level by level, turned into post-order."""
    return _post_order([[fan_out * n + k + 1 for k in range(fan_out)] for n in range(count)], count)


def _random(count: int) -> list[list[int]]:
    chance = random.Random(42)
    below: list[list[int]] = [[] for _ in range(count)]
    for node in range(1, count):
        below[chance.randrange(node)].append(node)
    return _post_order(below, count)


def _post_order(below: list[list[int]], count: int) -> list[list[int]]:
    order: list[int] = []
    work = [(0, False)]
    while work:
        node, is_done = work.pop()
        if is_done:
            order.append(node)
            continue
        work.append((node, True))
        work += [(child, False) for child in reversed(below[node]) if child < count]
    number = {node: index for index, node in enumerate(order)}
    return [[number[child] for child in below[node] if child < count] for node in order]


def _two_stages(count: int) -> list[list[int]]:
    """Half of the nodes stand alone in the first stage; the others are a binary tree over them."""
    half = count // 2
    tree = [[half + child for child in below] for below in _full(2, count - half)]
    tree[-1] = [*range(half), *tree[-1]]
    return [[] for _ in range(half)] + tree


_MAKERS: dict[str, tuple[Callable[[int], list[list[int]]], float]] = {
    "flat": (_flat, 0.0),
    "chain": (_chain, 0.0),
    "binary": (lambda count: _full(2, count), 0.0),
    "ten": (lambda count: _full(10, count), 0.0),
    "random": (_random, 0.0),
    "stages": (_two_stages, 0.0),
    "sleeping": (lambda count: _full(2, count), 0.05),
}


@cache
def shape(name: str) -> Shape:
    """Return the shape called KIND-COUNT, for example `binary-1023`; ValueError for no kind."""
    kind, _, count = name.partition("-")
    if kind not in _MAKERS or not count.isdigit():
        raise ValueError(f"{name!r} is no shape: KIND-COUNT, with one of {', '.join(_MAKERS)}")
    maker, sleep_s = _MAKERS[kind]
    children = maker(int(count))
    half = int(count) // 2 if kind == "stages" else 0
    stages = [int(bool(half) and node >= half) for node in range(len(children))]
    return Shape(name=name, children=children, stages=stages, sleep_s=sleep_s)
