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

    from .plan import Task


def reduce_edges(tasks: Sequence[Task]) -> dict[str, tuple[str, ...]]:
    """Return for each task the tasks that it must wait for itself, in the order of its edges."""
    position = {task.id: index for index, task in enumerate(tasks)}
    after = {task.id: frozenset(task.after) for task in tasks}
    first_waiter: dict[str, str] = {}
    for task in tasks:
        for before in task.after:
            first_waiter.setdefault(before, task.id)
    reduced: dict[str, tuple[str, ...]] = {}
    for task in tasks:
        own = after[task.id]
        # An intersection costs the smaller of its sides, so a join of thousands stays cheap here.
        implied: set[str] = set()
        for before in own if len(own) > 1 else ():
            implied |= own & after[before]
        # Without a waiter that stands before this task, no other path can lead to it.
        doubtful = {
            before
            for before in (own - implied if len(own) > 1 else ())
            if first_waiter[before] != task.id
        }
        if doubtful:
            implied |= _reached(own, doubtful, reduced, position)
        reduced[task.id] = tuple(before for before in task.after if before not in implied)
    return reduced


def _reached(
    sources: Iterable[str],
    targets: set[str],
    reduced: dict[str, tuple[str, ...]],
    position: dict[str, int],
) -> set[str]:
    """Return the targets that a source reaches by one edge or more."""
    # Edges lead to smaller positions only: nothing below the smallest target can reach one.
    floor = min(position[target] for target in targets)
    seen: set[str] = set()
    stack = list(sources)
    while stack:
        for before in reduced[stack.pop()]:
            if before not in seen and position[before] >= floor:
                seen.add(before)
                stack.append(before)
    return seen & targets
