"""Calls counted by generation, and what is reported of a canary."""

from __future__ import annotations

import random

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootward.orchestrator.errors import BadRecord
from rootward.orchestrator.rollout.counting import (
    CanaryShare,
    Counting,
    Pair,
    pack_pair,
    total_of,
    unpack_pair,
)
from rootward.orchestrator.rollout.tally import CallTally

TRIAL = CanaryShare(canary=2, current=1, percent=10.0)


def test_only_what_came_since_the_canary_began_is_reported_and_only_when_it_has_changed() -> None:
    counting = Counting()
    counting.follow("demo", None, [1])
    for _ in range(5):
        counting.observe("demo", 1, 0.01, is_error=True)
    assert counting.reports() == []
    counting.follow("demo", TRIAL, [1, 2])
    assert counting.reports() == []
    counting.observe("demo", 1, 0.01, is_error=False)
    counting.observe("demo", 2, 0.5, is_error=True)
    (report,) = counting.reports()
    pair = unpack_pair(report.counted)
    assert (report.name, report.generation) == ("demo", 2)
    assert (pair.canary.calls, pair.canary.errors) == (1, 1)
    assert (pair.current.calls, pair.current.errors) == (1, 0)
    assert counting.reports() == []
    # Followed again, it is the same canary.
    counting.follow("demo", TRIAL._replace(percent=20.0), [1, 2])
    counting.observe("demo", 2, 0.5, is_error=False)
    (report,) = counting.reports()
    assert unpack_pair(report.counted).canary.calls == 2
    counting.follow("demo", None, [1])
    assert counting.reports() == []
    assert [place for place, _ in counting] == [("demo", 1)]


def test_what_callers_have_counted_adds_up_without_what_can_not_be_read() -> None:
    one = CallTally()
    one.observe(0.1, is_error=True)
    packed = pack_pair(Pair(one, CallTally()))
    forged = (b"", b"\xc1", msgpack.packb([1]), msgpack.packb([[1, -2, []], [0, 0, []]]))
    found = total_of([packed, *forged, packed])
    assert (found.canary.calls, found.canary.errors, found.current.calls) == (2, 2, 0)
    for bad in forged:
        with pytest.raises(BadRecord):
            unpack_pair(bad)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e5), st.booleans()), max_size=60), st.integers(0, 60))
def test_tallies_add_up_and_their_difference_is_what_came_between(
    calls: list[tuple[float, bool]], cut: int
) -> None:
    whole, before, after = CallTally(), CallTally(), CallTally()
    for number, (seconds, is_error) in enumerate(calls):
        whole.observe(seconds, is_error=is_error)
        (before if number < cut else after).observe(seconds, is_error=is_error)
    assert before + after == whole
    assert whole.since(before) == after
    assert unpack_pair(pack_pair(Pair(whole, before))) == Pair(whole, before)


def test_the_99th_percentile_is_within_an_eighth_of_the_true_one() -> None:
    draw = random.Random(1)
    times = [draw.lognormvariate(-4, 1) for _ in range(5000)]
    tally = CallTally()
    for seconds in times:
        tally.observe(seconds, is_error=False)
    true = sorted(times)[int(0.99 * len(times))]
    assert tally.p99 == pytest.approx(true, rel=0.125)
