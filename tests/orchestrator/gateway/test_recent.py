"""The figures of the last quarter of an hour: rates, percentiles, errors, a ring of points."""

from __future__ import annotations

import pytest

from rootward.orchestrator.gateway.recent import POINT_S, POINTS, Recent

START = 1_000_000.0


def test_percentiles_keep_two_figures() -> None:
    recent = Recent()
    for number in range(1, 1001):
        recent.observe(number / 1000, START, is_error=number > 990)
    figures = recent.whole(START)
    assert figures.calls == 1000
    assert figures.errors == 10
    assert figures.p50 == pytest.approx(0.5, rel=0.07)
    assert figures.p99 == pytest.approx(0.99, rel=0.07)


def test_without_a_call_nothing_is_made_up() -> None:
    recent = Recent()
    assert recent.is_quiet(START)
    assert recent.whole(START)[1:] == (None, None, 0, 0)
    assert recent.series(START) == [None] * POINTS


def test_points_go_after_a_quarter_of_an_hour() -> None:
    recent = Recent()
    recent.observe(0.01, START, is_error=False)
    after = START + POINT_S
    series = recent.series(after)
    assert [point is not None for point in series] == [False] * (POINTS - 1) + [True]
    assert recent.lately(after).calls == 1
    assert recent.lately(START + 10 * POINT_S).calls == 0
    assert recent.is_quiet(START + (POINTS + 1) * POINT_S)
    for number in range(3 * POINTS):
        recent.observe(0.01, START + number * POINT_S, is_error=False)
    assert sum(point is not None for point in recent.series(START + 3 * POINTS * POINT_S)) == POINTS
