"""The rows of a tree on a terminal: their branches, which of them are shown, and what is folded.

Pure functions of rows in the order of a depth-first walk. A tree that doesn't fit keeps the
ancestors of all that it shows; what is finished is folded into its group, and what failed or runs
comes first. What isn't shown is counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FINISHED = frozenset({"succeeded", "ready", "stopped"})
_RANK = {"failed": 0, "lost": 0, "unready": 1, "running": 1, "queued": 2, "waiting": 3}
_LAST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One module: `seconds` is the time its work took, `fraction` how much of what runs is done.

    `done` and `total` count the modules of its subtree where `hidden` of them aren't shown.
    """

    name: str
    path: str
    state: str = ""
    detail: str = ""
    seconds: float | None = None
    worker: str = ""
    urls: tuple[str, ...] = ()
    fraction: float | None = None
    branch: str = ""
    hidden: int = 0
    done: int = 0
    total: int = 0

    @property
    def label(self) -> str:
        """Its name behind the branches of the tree."""
        return self.branch + self.name

    @property
    def is_folded(self) -> bool:
        """Whether all below it is finished and none of that is shown."""
        return bool(self.hidden) and self.done == self.total

    @property
    def word(self) -> str:
        """Its state, with what it does or lacks; of a folded group how many are done."""
        if self.is_folded:
            return f"{self.done}/{self.total} ✓"
        count = f"{self.done}/{self.total}" if self.hidden else ""
        return " ".join(part for part in (self.state, self.detail, count) if part)


def branched(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with the branches that lead to them, as far as their ancestors are there."""
    last: dict[str, int] = {}
    paths = {row.path for row in rows}
    for number, row in enumerate(rows):
        last[_above(row.path)] = number
    below: dict[str, str] = {}
    drawn = []
    for number, row in enumerate(rows):
        above = _above(row.path)
        if above not in paths:
            below[row.path] = ""
            drawn.append(replace(row, branch="", name=row.path))
            continue
        is_last = last[above] == number
        branch = below[above] + ("└- " if is_last else "|- ")
        below[row.path] = below[above] + ("   " if is_last else "|  ")
        drawn.append(replace(row, branch=branch))
    return drawn


def fold(rows: Sequence[Row], height: int) -> tuple[list[Row], Counter[str]]:
    """Return the rows that fit into `height` lines, one less when any is hidden, and what is.

    What is hidden is counted by state.
    """
    if len(rows) <= height:
        return list(rows), Counter()
    parents, done, total = _counts(rows)
    waiting = _waiting(rows, parents)

    def rank(number: int) -> int:
        above = parents[number]
        # The rows of a group that only waits say no more than its head.
        inside = above is not None and waiting[above] == total[above]
        return _LAST if inside and waiting[number] else _rank(rows[number])

    chosen: set[int] = set()
    for number in sorted(range(len(rows)), key=lambda n: (rank(n), n)):
        above = parents[number]
        if above is not None and total[above] and done[above] == total[above]:
            # Inside a finished group.
            continue
        chain = []
        each: int | None = number
        while each is not None and each not in chosen:
            chain.append(each)
            each = parents[each]
        if len(chosen) + len(chain) < max(height, 2):
            chosen.update(chain)
    return _shown(rows, chosen)


def keep(
    rows: Sequence[Row], wanted: Callable[[Row], bool], *, depth: int | None = None
) -> tuple[list[Row], Counter[str]]:
    """Return the rows that are wanted, with their ancestors, down to `depth` levels below the root.

    What is left out is counted by state.
    """
    parents, _, _ = _counts(rows)
    levels: list[int] = []
    for above in parents:
        levels.append(0 if above is None else levels[above] + 1)
    chosen: set[int] = set()
    for number, row in enumerate(rows):
        if depth is not None and levels[number] > depth:
            continue
        each: int | None = number if wanted(row) else None
        while each is not None and each not in chosen:
            chosen.add(each)
            each = parents[each]
    return _shown(rows, chosen)


def counted(states: Counter[str]) -> str:
    """Return counts by state as words, as in `3 waiting, 1 failed`."""
    return ", ".join(f"{number} {state or 'without work'}" for state, number in states.items())


def _shown(rows: Sequence[Row], chosen: set[int]) -> tuple[list[Row], Counter[str]]:
    parents, done, total = _counts(rows)
    hidden = [0] * len(rows)
    for number in range(len(rows) - 1, -1, -1):
        above = parents[number]
        if above is not None:
            hidden[above] += hidden[number] + (number not in chosen and bool(rows[number].state))
    shown = [
        replace(rows[n], hidden=hidden[n], done=done[n], total=total[n]) for n in sorted(chosen)
    ]
    states = Counter(row.state for n, row in enumerate(rows) if n not in chosen)
    return branched(shown), states


def _counts(rows: Sequence[Row]) -> tuple[list[int | None], list[int], list[int]]:
    """Return the place of each row's parent, and how many of its subtree are done, and there."""
    places = {row.path: number for number, row in enumerate(rows)}
    parents = [places.get(_above(row.path)) for row in rows]
    done = [int(row.state in FINISHED) for row in rows]
    total = [int(bool(row.state)) for row in rows]
    for number in range(len(rows) - 1, -1, -1):
        above = parents[number]
        if above is not None:
            done[above] += done[number]
            total[above] += total[number]
    return parents, done, total


def _waiting(rows: Sequence[Row], parents: Sequence[int | None]) -> list[int]:
    """Return how many modules of each subtree wait."""
    waiting = [int(row.state == "waiting") for row in rows]
    for number in range(len(rows) - 1, -1, -1):
        above = parents[number]
        if above is not None:
            waiting[above] += waiting[number]
    return waiting


def _rank(row: Row) -> int:
    if row.state in FINISHED:
        return _LAST - 1
    return _RANK.get(row.state, _LAST if not row.state else 4)


def _above(path: str) -> str:
    return path.rpartition("/")[0]
