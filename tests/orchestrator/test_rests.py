"""Looks at a deployment: few, and the last of them soon after the end."""

from __future__ import annotations

import pytest

from orchestrator.rests import LONGEST_S, Rests

LOOK_S = 0.0005


def looks(tasks: int, start_s: float, task_s: float) -> tuple[int, float]:
    """Wait for `tasks` that end evenly after a start; return the looks and how late the last is."""
    end = start_s + tasks * task_s
    rests, now, count = Rests(0.0), 0.0, 0
    while now < end:
        left = tasks - max(0, int((now - start_s) / task_s))
        # The next event ends the wait for one.
        now = max(now, start_s + task_s) + LOOK_S
        now += rests.after(left, now)
        count += 1
    return count, now - end


@pytest.mark.parametrize(
    ("tasks", "start_s", "task_s"),
    [(200, 0.1, 0.001), (10_000, 0.1, 0.0003), (63, 0.1, 0.007), (1, 5.0, 0.001)],
)
def test_the_end_is_found_soon_and_with_few_looks(
    tasks: int, start_s: float, task_s: float
) -> None:
    count, late_s = looks(tasks, start_s, task_s)
    span = start_s + tasks * task_s
    assert late_s <= 0.02 * span + LOOK_S + task_s
    assert count <= 20 + span / LONGEST_S


def test_a_rest_is_never_long() -> None:
    rests = Rests(0.0)
    assert rests.after(10, 1e6) == LONGEST_S
    assert rests.after(9, 2e6) == LONGEST_S
