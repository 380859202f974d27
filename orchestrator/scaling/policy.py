"""How many replicas a service should have by its calls: one pure function.

`decide(bounds, past, load, wanted, now)` is asked in each of the controller's rounds. More replicas
come at once; fewer only when the most that was needed in the last `down_after_s` is less, so that a
load that swings about doesn't let them come and go. None are kept, where bounds allow it, after
`zero_after_s` without a call. The past that it returns goes in again in the next round; one that is
lost (the controller runs elsewhere from now on) begins anew, which only delays fewer replicas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rootward.modules.rpc.bounds import ReplicaBounds

TOLERANCE: Final = 0.1
"""Share of the target by which calls a replica may be above it before there is one more."""
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The calls of a service now: under way in its replicas (on average), held for one."""

    under_way: float = 0.0
    held: float = 0.0

    @property
    def calls(self) -> float:
        """All of them."""
        return self.under_way + self.held

    def __add__(self, other: Load) -> Load:
        return Load(under_way=self.under_way + other.under_way, held=self.held + other.held)

    def __str__(self) -> str:
        held = f" and {self.held:.3g} held" if self.held else ""
        return f"{self.under_way:.3g} calls under way{held}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a decision needs of the rounds before; times in seconds of one clock.

    `needs` are the replicas that were needed, with their times, as far as none that came later was
    more; `since` is when they begin, `called_at` when a call was last under way, `wanted` what was
    decided last.
    """

    since: float
    called_at: float
    wanted: int
    needs: tuple[tuple[float, int], ...] = ()

    @classmethod
    def begin(cls, wanted: int, now: float) -> Past:
        """Return the past of a service that is looked at for the first time."""
        return cls(since=now, called_at=now, wanted=wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleDecision:
    """How many replicas are wanted, and why, in numbers."""

    wanted: int
    why: str


def decide(
    bounds: ReplicaBounds, past: Past, load: Load, wanted: int, now: float
) -> tuple[ScaleDecision, Past]:
    """Return how many replicas are wanted at `now`, where `wanted` are so far, and the new past.

    Always within the bounds; the number changes upwards at once and downwards after quiet alone.
    """
    past = _with(bounds, past, load, wanted, now)
    decision = _decision(bounds, past, load, wanted, now)
    if decision.wanted != wanted:
        past = replace(past, wanted=decision.wanted)
    return decision, past


def needed(bounds: ReplicaBounds, load: Load) -> int:
    """Return how many replicas these calls need by the target alone; at least one."""
    return max(1, ceil(load.calls / bounds.target - _ROUNDING))


def _with(bounds: ReplicaBounds, past: Past, load: Load, wanted: int, now: float) -> Past:
    """Return the past with this round."""
    # What was woken meanwhile was woken by a call, wherever that is now.
    is_called = load.calls > 0 or wanted > past.wanted
    need = min(needed(bounds, load), bounds.highest)
    kept = [each for each in past.needs if each[1] > need and each[0] > now - bounds.down_after_s]
    return replace(
        past,
        called_at=now if is_called else past.called_at,
        wanted=wanted,
        needs=(*kept, (now, need)),
    )


def _decision(
    bounds: ReplicaBounds, past: Past, load: Load, wanted: int, now: float
) -> ScaleDecision:
    floor = bounds.first if wanted or load.calls else bounds.lowest
    if wanted > bounds.highest:
        return ScaleDecision(wanted=bounds.highest, why=f"{bounds.highest} is the most of {bounds}")
    if wanted < floor:
        why = f"{floor} is the fewest of {bounds}"
        more = min(max(floor, needed(bounds, load)), bounds.highest)
        if not wanted and bounds.may_sleep:
            why = f"{load}, one replica for {bounds.target:g}"
        return ScaleDecision(wanted=more, why=why)
    if bounds.may_sleep and wanted and now - past.called_at >= bounds.zero_after_s:
        return ScaleDecision(wanted=0, why=f"nobody has called for {bounds.zero_after_s:g} s")
    need = needed(bounds, load)
    most = min(need, bounds.highest)
    if most > wanted and load.calls > wanted * bounds.target * (1 + TOLERANCE):
        limit = f", and {most} is the most of {bounds}" if need > most else ""
        why = f"{load}, one replica for {bounds.target:g}{limit}"
        return ScaleDecision(wanted=most, why=why)
    peak = max(floor, *(count for _, count in past.needs))
    if peak < wanted and now - past.since >= bounds.down_after_s:
        why = f"no more than {peak} needed for {bounds.down_after_s:g} s; now {load}"
        return ScaleDecision(wanted=peak, why=why)
    return ScaleDecision(wanted=wanted, why="")
