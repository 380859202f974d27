"""Transitive reduction of a plan: the few edges that Redis has to store and settle.

A plan's own edges are the literal rules (each deploy waits for `join:train` and for every deploy
below it); most follow from others. The reduction keeps the order of execution exactly and leaves
out each edge that another path implies. Trees cost linear time; only tasks that several others
wait for are searched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Edges = Sequence[tuple[int, ...]]

FEW = 8
"""Edges of a task up to which a search through them is sooner done than a set is made."""


def reduce_edges(after: Edges) -> list[tuple[int, ...]]:
    """Return for each task the tasks that it must wait for itself, in the order of its edges.

    Tasks are numbers in an order in which they could run; `after` has what each waits for.
    """
    sets = [before if len(before) <= FEW else frozenset(before) for before in after]
    first_waiter: dict[int, int] = {}
    for task, before in enumerate(after):
        for each in before:
            first_waiter.setdefault(each, task)
    reduced: list[tuple[int, ...]] = []
    for task, before in enumerate(after):
        if len(before) < 2:
            reduced.append(before)
            continue
        own, implied = set(before), set[int]()
        # An intersection costs the smaller of its sides, so a join of thousands stays cheap here.
        for each in before:
            implied.update(own.intersection(sets[each]))
        # Without a waiter that stands before this task, no other path can lead to it.
        doubtful = {each for each in own - implied if first_waiter[each] != task}
        if doubtful:
            implied |= _reached(own, doubtful, reduced)
        reduced.append(tuple([each for each in before if each not in implied]))
    return reduced


def _reached(sources: Iterable[int], targets: set[int], reduced: Edges) -> set[int]:
    """Return the targets that a source reaches by one edge or more."""
    # Edges lead to smaller numbers only: nothing below the smallest target can reach one.
    floor = min(targets)
    seen: set[int] = set()
    stack = list(sources)
    while stack:
        for before in reduced[stack.pop()]:
            if before not in seen and before >= floor:
                seen.add(before)
                stack.append(before)
    return seen & targets
