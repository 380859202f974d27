"""A canary's share of the calls: exact over any hundred, and drawn only where it begins."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rootward.orchestrator.rollout.share import FairShare


@settings(deadline=None)
@given(percent=st.integers(1, 99), begins=st.floats(0, 1, exclude_max=True))
def test_of_any_hundred_calls_in_a_row_the_share_is_exact(percent: int, begins: float) -> None:
    share = FairShare(lambda: begins)
    due = [share.is_due(percent) for _ in range(500)]
    for start in range(0, 400, 37):
        assert abs(sum(due[start : start + 100]) - percent) <= 1
    assert abs(sum(due) - 5 * percent) <= 1


@settings(deadline=None)
@given(percent=st.floats(0.01, 99.99))
def test_one_call_of_each_of_many_programs_gives_the_share_too(percent: float) -> None:
    """Each begins at another place."""
    firsts = [FairShare(lambda n=n: n / 1000).is_due(percent) for n in range(1000)]  # type: ignore[misc]
    assert abs(sum(firsts) - 10 * percent) <= 1
