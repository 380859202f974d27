"""How many replicas a served module may have: a fixed number, or a range that follows its calls.

It owns the options of autoscaling and what they may be, and how a range is written (`1..8`). How
many of the range are wanted at a time is the controller's to decide; without one, which is a run on
one machine without Redis, `first` of them run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..needs.options import checked_amount, is_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_REPLICAS = 1000
"""Replicas that a service can have."""
TARGET = 4.0
DOWN_AFTER_S = 60.0
ZERO_AFTER_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaBounds:
    """A range of replicas, and how their number follows the calls; times are in seconds.

    `target` is how many calls under way one replica is for. There are fewer after `down_after_s` of
    fewer calls, and none, where `lowest` is 0, after `zero_after_s` without any.
    """

    lowest: int
    highest: int
    target: float = TARGET
    down_after_s: float = DOWN_AFTER_S
    zero_after_s: float = ZERO_AFTER_S

    def __str__(self) -> str:
        return f"{self.lowest}..{self.highest}"

    @property
    def first(self) -> int:
        """How many a deployment begins with: at least one, which shows that it can be served."""
        return max(1, self.lowest)

    @property
    def may_sleep(self) -> bool:
        """Whether nothing need run while nobody calls."""
        return self.lowest == 0


def bounds_of(
    replicas: Any,
    target: Any = TARGET,
    down_after: Any = DOWN_AFTER_S,
    zero_after: Any = ZERO_AFTER_S,
) -> ReplicaBounds | None:
    """Return the range that the options of a ServerModule ask for; None for a fixed number.

    Raises ValueError that names the option and its value.
    """
    target = checked_amount("target of a ServerModule", target, "calls under way a replica")
    down_after = checked_amount("scale_down_after of a ServerModule", down_after, "seconds")
    zero_after = checked_amount("scale_to_zero_after of a ServerModule", zero_after, "seconds")
    if not isinstance(replicas, (tuple, list)):
        if not is_count(replicas) or not 1 <= replicas <= MOST_REPLICAS:
            raise ValueError(
                f"replicas of a ServerModule is a whole number from 1 to {MOST_REPLICAS}, or a "
                f"range such as (1, 8), not {replicas!r:.100}"
            )
        return None
    if len(replicas) != 2 or not all(is_count(each) for each in replicas):
        raise ValueError(
            f"replicas of a ServerModule is a range of two whole numbers, such as (1, 8), not "
            f"{replicas!r:.100}"
        )
    lowest, highest = replicas
    if problem := _misfit(lowest, highest):
        raise ValueError(f"replicas of a ServerModule is {tuple(replicas)!r}: {problem}")
    return ReplicaBounds(
        lowest=lowest,
        highest=highest,
        target=target,
        down_after_s=down_after,
        zero_after_s=zero_after,
    )


def parse_bounds(text: str, like: ReplicaBounds | None = None) -> ReplicaBounds:
    """Return the range written as `1..8`, with the targets and times of `like`.

    Raises ValueError that says what is wrong with it.
    """
    low, dots, high = text.strip().partition("..")
    if not (dots and _is_number(low) and _is_number(high)):
        raise ValueError(f"{text!r:.100} is no range of replicas: write it as 1..8")
    lowest, highest = int(low), int(high)
    if problem := _misfit(lowest, highest):
        raise ValueError(f"{text!r} is no range of replicas: {problem}")
    if like is None:
        return ReplicaBounds(lowest=lowest, highest=highest)
    return replace(like, lowest=lowest, highest=highest)


def _misfit(lowest: int, highest: int) -> str | None:
    if lowest < 0 or highest < 1:
        return "the fewest are 0 or more, the most 1 or more"
    if lowest > highest:
        return f"the fewest ({lowest}) are more than the most ({highest})"
    if highest > MOST_REPLICAS:
        return f"a service has {MOST_REPLICAS} replicas at the most"
    return None


def _is_number(text: str) -> bool:
    # `isdecimal` alone takes digits of other scripts, and a number as long as the text.
    return text.isascii() and text.isdecimal() and len(text) <= 6
