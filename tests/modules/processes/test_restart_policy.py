"""When a process comes back: pauses that grow, an end, and a new beginning."""

from __future__ import annotations

from rootward.modules.processes.restart_policy import (
    GIVE_UP_AFTER,
    LONGEST_PAUSE_S,
    STEADY_S,
    RestartPolicy,
    pause_after,
)


def test_pauses_double_up_to_the_longest() -> None:
    policy = RestartPolicy(gives_up=False)
    pauses = [policy.failed(0.0) for _ in range(40)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert pause_after(10**9) == LONGEST_PAUSE_S


def test_one_that_gives_up_does_so_at_the_last_failure_in_a_row() -> None:
    policy = RestartPolicy(gives_up=True)
    pauses = [policy.failed(0.0) for _ in range(GIVE_UP_AFTER)]
    assert pauses[-1] is None
    assert None not in pauses[:-1]
    assert policy.failures == GIVE_UP_AFTER


def test_who_has_lived_for_long_begins_anew() -> None:
    policy = RestartPolicy(gives_up=True)
    for _ in range(GIVE_UP_AFTER - 1):
        policy.failed(STEADY_S)
    assert policy.failed(STEADY_S + 0.1) == 0.2
    assert policy.failed(0.0) == 0.4


def test_the_numbers_of_the_policy_do_not_change_unseen() -> None:
    assert (LONGEST_PAUSE_S, STEADY_S, GIVE_UP_AFTER) == (30.0, 30.0, 6)
