"""When a canary has baked: one pure function of what was counted and of the time.

An error rate is a breach when it is above its limit beyond what chance explains (the lower bound of
Wilson's interval at 95 %), so that a canary of which every call fails ends soon, and one unlucky
call ends none. What is above its limit, but not by so much, waits for more calls. The 99th
percentiles are compared once both sides have enough calls to have one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..store.records import Rollout
    from .counting import Pair
    from .tally import CallTally

ENOUGH_CALLS: Final = 20
"""Calls of the canary below which nothing is decided."""
ENOUGH_FOR_P99: Final = 200
"""Calls of each side below which their 99th percentiles say nothing."""
TOLERANCE: Final = 0.01
"""What the error rate may be above the current generation's when no limit was given."""
SLOWER: Final = 2.0
SLOWER_S: Final = 0.1
"""The 99th percentile may be this much longer: a factor, and seconds beside."""
_Z: Final = 1.96


class BakeStep(Enum):
    """What is to be done about a canary."""

    WAIT = auto()
    PROMOTE = auto()
    ROLL_BACK = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, and the sentence that says why."""

    step: BakeStep
    reason: str


def decide(rollout: Rollout, pair: Pair, elapsed_s: float) -> Decision:
    """Return what is to be done about a canary that has had calls for `elapsed_s` seconds.

    Without a bake time and without a limit nothing is done by itself, and without a bake time
    nothing is promoted.
    """
    told = _told(pair)
    limit = limit_of(rollout, pair.current)
    if limit is None:
        return Decision(BakeStep.WAIT, f"{told}; it is promoted or rolled back by hand")
    if (breach := _breach(pair, limit)) is not None:
        return Decision(BakeStep.ROLL_BACK, breach)
    if rollout.bake_s is None:
        return Decision(BakeStep.WAIT, f"{told}; it is promoted by hand")
    if elapsed_s < rollout.bake_s:
        return Decision(
            BakeStep.WAIT, f"{told}; it bakes for {rollout.bake_s - elapsed_s:.0f} s more"
        )
    missing = ENOUGH_CALLS - pair.canary.calls
    if missing > 0:
        return Decision(BakeStep.WAIT, f"{told}; it waits for {missing} more calls to be judged by")
    if (pair.canary.error_rate or 0.0) > limit:
        return Decision(
            BakeStep.WAIT, f"{told}; it waits for more calls, as {limit:.2%} may be an accident"
        )
    return Decision(BakeStep.PROMOTE, f"{told}; no breach in {elapsed_s:.0f} s")


def limit_of(rollout: Rollout, current: CallTally) -> float | None:
    """Return what a canary's error rate may be, None for one that is only looked at."""
    if rollout.bake_s is None and rollout.max_error_rate is None:
        return None
    if rollout.max_error_rate is not None:
        return rollout.max_error_rate
    return (current.error_rate or 0.0) + TOLERANCE


def _breach(pair: Pair, limit: float) -> str | None:
    canary, current = pair.canary, pair.current
    if canary.calls >= ENOUGH_CALLS and lower_bound(canary.errors, canary.calls) > limit:
        return (
            f"{canary.errors} of its {canary.calls} calls failed, "
            f"{canary.error_rate or 0.0:.2%} where {limit:.2%} is the limit"
            f" (the current one: {_rate(current)})"
        )
    p99, before = canary.p99, current.p99
    if p99 is None or before is None or min(canary.calls, current.calls) < ENOUGH_FOR_P99:
        return None
    if p99 > SLOWER * before + SLOWER_S:
        return (
            f"99 % of its calls took up to {p99:.3g} s, of the current one's up to {before:.3g} s"
        )
    return None


def lower_bound(errors: int, calls: int) -> float:
    """Return the lower bound of Wilson's interval for a rate, at 95 %."""
    if not calls or not errors:
        return 0.0
    rate, z2 = errors / calls, _Z * _Z
    middle = rate + z2 / (2 * calls)
    spread = _Z * math.sqrt((rate * (1 - rate) + z2 / (4 * calls)) / calls)
    return max(0.0, (middle - spread) / (1 + z2 / calls))


def _told(pair: Pair) -> str:
    return f"{_rate(pair.canary)} (the current one: {_rate(pair.current)})"


def _rate(tally: CallTally) -> str:
    if not tally.calls:
        return "no call yet"
    return f"{tally.errors} of {tally.calls} calls failed"
