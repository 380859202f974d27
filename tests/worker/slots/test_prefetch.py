"""Tasks are claimed ahead, and behind one another, only while they are known to be short."""

from __future__ import annotations

from rootward.worker.slots.prefetch import SHORT_S, Paces, Prefetch


def test_nothing_is_claimed_ahead_before_tasks_are_known() -> None:
    pace = Prefetch()
    assert pace.ahead == 0
    pace.note(0.0)
    assert pace.ahead == 0


def test_short_tasks_are_claimed_ahead_and_long_ones_never() -> None:
    short, long = Prefetch(), Prefetch()
    for _ in range(10):
        short.note(SHORT_S / 4)
        long.note(SHORT_S * 4)
    assert short.ahead > 0
    assert long.ahead == 0


def test_one_long_task_among_short_ones_ends_the_claims_ahead() -> None:
    pace = Prefetch()
    for _ in range(10):
        pace.note(0.001)
    pace.note(60.0)
    assert pace.ahead == 0


def test_slowing_down_begins_to_learn_anew() -> None:
    pace = Prefetch()
    for _ in range(10):
        pace.note(0.001)
    pace.slow_down()
    assert pace.ahead == 0
    for _ in range(10):
        pace.note(0.001)
    assert pace.ahead > 0


def test_a_task_that_was_held_up_once_counts_for_little() -> None:
    pace = Prefetch()
    for _ in range(10):
        pace.note(0.0002)
    pace.note(0.05)
    assert pace.ahead > 0


def test_only_tasks_that_take_less_than_their_handing_out_are_light() -> None:
    light, short, unknown = Prefetch(), Prefetch(), Prefetch()
    for _ in range(10):
        light.note(0.0001)
        short.note(SHORT_S / 2)
    assert light.is_light
    assert not short.is_light
    assert not unknown.is_light


def test_paces_are_kept_by_deployment_and_kind_and_the_oldest_are_forgotten() -> None:
    paces = Paces()
    for _ in range(10):
        paces.of("tree", "train").note(0.001)
    assert paces.of("tree", "train").ahead > 0
    assert paces.of("tree", "deploy").ahead == paces.of("other", "train").ahead == 0
    for number in range(1000):
        paces.of(f"other-{number}", "train")
    assert paces.of("tree", "train").ahead == 0
