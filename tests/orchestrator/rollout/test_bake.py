"""When a canary is promoted or rolled back by itself: a pure function, and its properties."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootward.orchestrator.rollout.bake import (
    ENOUGH_CALLS,
    ENOUGH_FOR_P99,
    BakeStep,
    decide,
    lower_bound,
)
from rootward.orchestrator.rollout.counting import Pair
from rootward.orchestrator.rollout.tally import CallTally
from rootward.orchestrator.store.records import Rollout


def tally(calls: int, errors: int = 0, seconds: float = 0.01) -> CallTally:
    found = CallTally()
    for number in range(calls):
        found.observe(seconds, is_error=number < errors)
    return found


def pair(canary: CallTally, current: CallTally | None = None) -> Pair:
    return Pair(canary, tally(1000) if current is None else current)


BAKED = Rollout(percent=10.0, bake_s=60.0)


@pytest.mark.parametrize(
    ("rollout", "counted", "elapsed_s", "step", "reason"),
    [
        (BAKED, pair(tally(500)), 59.0, BakeStep.WAIT, "it bakes for 1 s more"),
        (BAKED, pair(tally(500)), 60.0, BakeStep.PROMOTE, "0 of 500 calls failed"),
        (BAKED, pair(tally(7)), 99.0, BakeStep.WAIT, "it waits for 13 more calls"),
        (BAKED, pair(CallTally()), 99.0, BakeStep.WAIT, "no call yet"),
        (BAKED, pair(tally(20, 20)), 1.0, BakeStep.ROLL_BACK, "20 of its 20 calls failed, 100.00%"),
        (BAKED, pair(tally(19, 19)), 1.0, BakeStep.WAIT, "bakes"),
        # What fails in the current one too isn't the canary's fault.
        (BAKED, pair(tally(500, 50), tally(1000, 100)), 60.0, BakeStep.PROMOTE, "50 of 500"),
        # Above the limit, but by no more than chance explains.
        (BAKED, pair(tally(50, 1)), 60.0, BakeStep.WAIT, "it waits for more calls"),
        (BAKED, pair(tally(5000, 100)), 60.0, BakeStep.ROLL_BACK, "2.00% where 1.00%"),
        (
            Rollout(percent=10.0, bake_s=60.0, max_error_rate=0.1),
            *(pair(tally(500, 40)), 60.0, BakeStep.PROMOTE, "40 of 500"),
        ),
        (
            Rollout(percent=10.0, max_error_rate=0.0),
            *(pair(tally(20, 1)), 1.0, BakeStep.ROLL_BACK, "1 of its 20 calls failed"),
        ),
        (
            Rollout(percent=10.0, max_error_rate=0.1),
            *(pair(tally(500)), 1e9, BakeStep.WAIT, "promoted by hand"),
        ),
        (
            Rollout(percent=10.0),
            *(pair(tally(500, 500)), 1e9, BakeStep.WAIT, "promoted or rolled back by hand"),
        ),
        (
            BAKED,
            pair(tally(ENOUGH_FOR_P99, seconds=0.5), tally(1000, seconds=0.05)),
            *(1.0, BakeStep.ROLL_BACK, "99 % of its calls took up to"),
        ),
        (
            BAKED,
            pair(tally(ENOUGH_FOR_P99 - 1, seconds=0.5), tally(1000, seconds=0.05)),
            *(1.0, BakeStep.WAIT, "bakes"),
        ),
    ],
)
def test_what_is_decided(
    rollout: Rollout, counted: Pair, elapsed_s: float, step: BakeStep, reason: str
) -> None:
    found = decide(rollout, counted, elapsed_s)
    assert found.step is step
    assert reason in found.reason


counted = st.integers(0, 2000).flatmap(
    lambda calls: st.tuples(st.just(calls), st.integers(0, calls))
)
rollouts = st.builds(
    Rollout,
    percent=st.just(10.0),
    bake_s=st.none() | st.floats(0.1, 1e4),
    max_error_rate=st.none() | st.floats(0, 0.99),
)


@settings(deadline=None)
@given(
    rollout=rollouts,
    canary=counted,
    current=counted,
    elapsed_s=st.floats(0, 1e6),
    times=st.tuples(st.floats(1e-4, 10), st.floats(1e-4, 10)),
)
def test_nothing_is_promoted_too_soon_or_above_its_limit_and_none_falls_without_a_cause(
    rollout: Rollout,
    canary: tuple[int, int],
    current: tuple[int, int],
    elapsed_s: float,
    times: tuple[float, float],
) -> None:
    there = pair(tally(*canary, times[0]), tally(*current, times[1]))
    found = decide(rollout, there, elapsed_s)
    assert found == decide(rollout, there, elapsed_s)
    assert found.reason
    calls, errors = canary
    rate = errors / calls if calls else 0.0
    limit = rollout.max_error_rate
    if limit is None:
        limit = 0.01 + (current[1] / current[0] if current[0] else 0.0)
    if found.step is BakeStep.PROMOTE:
        assert rollout.bake_s is not None
        assert elapsed_s >= rollout.bake_s
        assert calls >= ENOUGH_CALLS
        assert rate <= limit
    if found.step is BakeStep.ROLL_BACK:
        assert rollout.bake_s is not None or rollout.max_error_rate is not None
        assert calls >= ENOUGH_CALLS
        slower = times[0] > times[1] and min(calls, current[0]) >= ENOUGH_FOR_P99
        assert rate > limit or slower


@settings(deadline=None)
@given(calls=st.integers(ENOUGH_CALLS, 2000), share=st.floats(0.5, 1), more=st.integers(1, 500))
def test_more_errors_never_save_a_canary(calls: int, share: float, more: int) -> None:
    rollout = Rollout(percent=10.0, max_error_rate=0.1)
    for errors in (int(share * calls), min(calls, int(share * calls) + more)):
        found = decide(rollout, pair(tally(calls, errors)), 10.0)
        assert found.step is BakeStep.ROLL_BACK


@settings(deadline=None)
@given(counted)
def test_the_lower_bound_is_below_the_rate(canary: tuple[int, int]) -> None:
    calls, errors = canary
    assert 0 <= lower_bound(errors, calls) <= (errors / calls if calls else 0) + 1e-9
