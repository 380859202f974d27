"""The watch over replicas: pinged seldom, withdrawn when silent, killed when they stay so."""

from __future__ import annotations

import pytest

from rootward.orchestrator.states import ReplicaState
from rootward.worker.replicas.liveness import (
    KILL_AFTER_S,
    PING_S,
    ROUND_S,
    UNREADY_AFTER_S,
    Verdict,
    is_due,
    judge,
    ping_pause_s,
)

READY, UNREADY, DRAINING = ReplicaState.READY, ReplicaState.UNREADY, ReplicaState.DRAINING
SILENT_S = UNREADY_AFTER_S + 0.1


@pytest.mark.parametrize(
    ("silent_s", "state", "is_stopped", "verdict"),
    [
        (0.0, READY, False, Verdict.LEAVE),
        (UNREADY_AFTER_S - 0.1, READY, True, Verdict.LEAVE),
        (SILENT_S, READY, False, Verdict.WITHDRAW),
        (SILENT_S, READY, True, Verdict.KILL),
        (SILENT_S, UNREADY, False, Verdict.LEAVE),
        (SILENT_S, DRAINING, False, Verdict.LEAVE),
        (0.1, UNREADY, False, Verdict.LEAVE),
        (0.0, UNREADY, False, Verdict.BRING_BACK),
        (KILL_AFTER_S + 0.1, READY, False, Verdict.KILL),
        (KILL_AFTER_S + 0.1, DRAINING, False, Verdict.KILL),
    ],
)
def test_silence_is_judged_by_its_length(
    silent_s: float, state: ReplicaState, is_stopped: bool, verdict: Verdict
) -> None:
    """First it gets no more calls; a stopped one, and one that stays silent, is ended."""
    assert judge(silent_s, state, lambda: is_stopped) is verdict


def test_kernel_is_asked_of_silent_ones_only() -> None:
    def ask() -> bool:
        raise AssertionError("asked")

    assert judge(0.0, READY, ask) is Verdict.LEAVE


def test_lease_is_renewed_well_before_it_ends_and_seldom_otherwise() -> None:
    assert ping_pause_s(None) == ping_pause_s(10.0) == PING_S
    assert ping_pause_s(0.6) == pytest.approx(0.2)
    assert 0 < ping_pause_s(-1.0) < 0.1


def test_pings_that_are_due_around_one_round_go_out_together() -> None:
    """Else each replica would wake the agent on its own; a short lease is kept to more exactly."""
    assert is_due(10.0, 10.0 - 0.4 * ROUND_S, PING_S)
    assert is_due(10.0, 10.0 + 0.4 * ROUND_S, PING_S)
    assert not is_due(10.0, 10.0 + 0.6 * ROUND_S, PING_S)
    assert not is_due(10.0, 10.0 + 0.4 * ROUND_S, 0.2)
