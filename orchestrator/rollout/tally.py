"""What the calls of one generation were like: how many, how many failed, and how long they took.

A time is counted in one of some 150 classes, each 12 % wider than the one before, so that
percentiles keep two figures at any scale. Tallies of several callers add up, and the difference of
two of one caller is what came between them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Self

from ..errors import BadRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST_S: Final = 1e-5
_PER_DOUBLING: Final = 6
CLASSES: Final = 150


def time_class(seconds: float) -> int:
    """Return the class in which a time is counted."""
    kind = int(math.log2(seconds / LEAST_S) * _PER_DOUBLING) if seconds > LEAST_S else 0
    return min(kind, CLASSES - 1)


def percentile(kinds: Sequence[tuple[int, int]], calls: int, share: float) -> float | None:
    """Return the time (s) below which that share of the calls was; None without calls.

    `kinds` are classes with the number of their calls, in order; `calls` is the sum of these.
    """
    if not calls:
        return None
    wanted, total = share * calls, 0
    for kind, count in kinds:
        total += count
        if total >= wanted:
            within = 1 - (total - wanted) / count
            return float(LEAST_S * 2.0 ** ((kind + within) / _PER_DOUBLING))
    return None


class CallTally:
    """The calls of one generation as one caller, or all of them, have counted them."""

    __slots__ = ("calls", "classes", "errors")

    def __init__(
        self, calls: int = 0, errors: int = 0, classes: Mapping[int, int] | None = None
    ) -> None:
        self.calls, self.errors = calls, errors
        self.classes = dict(classes or {})

    def __repr__(self) -> str:
        return f"<CallTally {self.errors}/{self.calls}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CallTally):
            return NotImplemented
        mine, its = (self.calls, self.errors), (other.calls, other.errors)
        return mine == its and self.classes == other.classes

    __hash__ = None  # type: ignore[assignment]

    def observe(self, seconds: float, *, is_error: bool) -> None:
        """Count one call; an error is one that isn't the caller's fault."""
        kind = time_class(seconds)
        self.classes[kind] = self.classes.get(kind, 0) + 1
        self.errors += is_error
        self.calls += 1

    def __add__(self, other: CallTally) -> CallTally:
        kinds = self.classes.keys() | other.classes.keys()
        classes = {k: self.classes.get(k, 0) + other.classes.get(k, 0) for k in kinds}
        return CallTally(self.calls + other.calls, self.errors + other.errors, classes)

    def since(self, before: CallTally) -> CallTally:
        """Return what has come after `before`, an earlier copy of this one."""
        classes = {
            kind: count - before.classes.get(kind, 0)
            for kind, count in self.classes.copy().items()
            if count > before.classes.get(kind, 0)
        }
        return CallTally(self.calls - before.calls, self.errors - before.errors, classes)

    def copy(self) -> CallTally:
        """Return one of its own that stays as it is."""
        return CallTally(self.calls, self.errors, self.classes.copy())

    @property
    def error_rate(self) -> float | None:
        """The share of calls that failed, None without calls."""
        return self.errors / self.calls if self.calls else None

    @property
    def p99(self) -> float | None:
        """The time in seconds below which 99 of 100 calls were, None without calls."""
        kinds = sorted(self.classes.items())
        return percentile(kinds, sum(self.classes.values()), 0.99)

    def to_plain(self) -> list[Any]:
        """Return it as plain data, to be packed."""
        return [self.calls, self.errors, sorted(self.classes.items())]

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Read what `to_plain` wrote; BadRecord for anything else."""
        try:
            calls, errors, classes = plain
            found = {int(kind): int(count) for kind, count in classes}
            tally = cls(int(calls), int(errors), found)
        except (TypeError, ValueError) as cause:
            raise BadRecord(f"the figures of a caller can't be read ({cause})") from cause
        if min([tally.calls, tally.errors, *found.keys(), *found.values()]) < 0:
            raise BadRecord("the figures of a caller are below 0")
        return tally
