"""One figure: what was measured, what it came to, and whether that meets the goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came out: `value` and `goal` as people read them."""

    what: str
    value: str
    goal: str
    is_met: bool

    def __str__(self) -> str:
        verdict = "met" if self.is_met else "MISSED"
        return f"{self.what}: {self.value} (goal: {self.goal}; {verdict})"


Figure = Callable[[int], list[Measured]]


def none_of(what: str, found: int, tried: int) -> Measured:
    """Return the figure of something that must never happen; nothing tried is nothing shown."""
    return Measured(
        what=what, value=f"{found} of {tried}", goal="0", is_met=found == 0 and tried > 0
    )


def times(what: str, taken: list[float], p99_s: float) -> Measured:
    """Return the figure of times in seconds, of which 99 in a hundred must be within `p99_s`."""
    taken = sorted(taken)
    p99 = taken[min(len(taken) - 1, round(0.99 * len(taken)) - 1)]
    middle = taken[len(taken) // 2]
    return Measured(
        what=what,
        value=f"p50 {middle:.4f} p99 {p99:.4f} longest {taken[-1]:.4f} s, n={len(taken)}",
        goal=f"p99 {p99_s:g} s",
        is_met=p99 <= p99_s,
    )
