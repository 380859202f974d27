"""The watch over replicas: pinged seldom, withdrawn when silent, killed when they stay so."""

from __future__ import annotations

from typing import Any

import pytest

from rootward.orchestrator.states import ReplicaState
from rootward.worker.replicas.liveness import (
    PING_S,
    ROUND_S,
    UNREADY_AFTER_S,
    Signs,
    Verdict,
    is_due,
    judge,
    ping_pause_s,
)

READY, UNREADY, DRAINING = ReplicaState.READY, ReplicaState.UNREADY, ReplicaState.DRAINING
SOON_S = UNREADY_AFTER_S + 0.1
LATE_S = 10.1


def idle(seconds: float, **more: Any) -> Signs:
    return Signs(silent_s=seconds, idle_s=seconds, **more)


def busy(seconds: float, **more: Any) -> Signs:
    return Signs(silent_s=seconds, **more)


@pytest.mark.parametrize(
    ("signs", "state", "verdict"),
    [
        (Signs(), READY, Verdict.LEAVE),
        (idle(UNREADY_AFTER_S - 0.1, is_stopped=True), READY, Verdict.LEAVE),
        (idle(SOON_S), READY, Verdict.WITHDRAW),
        (idle(SOON_S, is_stopped=True), READY, Verdict.KILL),
        (idle(SOON_S), UNREADY, Verdict.LEAVE),
        (idle(SOON_S), DRAINING, Verdict.LEAVE),
        (idle(0.1), UNREADY, Verdict.LEAVE),
        (Signs(), UNREADY, Verdict.BRING_BACK),
        (idle(LATE_S), READY, Verdict.KILL),
        (idle(LATE_S), DRAINING, Verdict.KILL),
        (busy(SOON_S), READY, Verdict.LEAVE),
        (busy(LATE_S), READY, Verdict.WITHDRAW),
        (busy(1000.0), UNREADY, Verdict.LEAVE),
        (Signs(blocked_s=SOON_S), READY, Verdict.LEAVE),
        (Signs(blocked_s=LATE_S), READY, Verdict.WITHDRAW),
        (Signs(blocked_s=1000.0), UNREADY, Verdict.LEAVE),
        (Signs(failures=1, ailment="ill"), READY, Verdict.WITHDRAW),
        (Signs(failures=2, ailment="ill"), UNREADY, Verdict.LEAVE),
        (Signs(failures=3, ailment="ill"), UNREADY, Verdict.KILL),
        (Signs(failures=3, ailment="ill"), READY, Verdict.KILL),
        (Signs(failures=3, ailment="ill"), DRAINING, Verdict.LEAVE),
    ],
)
def test_silence_is_judged_by_its_length_and_by_what_is_done_meanwhile(
    signs: Signs, state: ReplicaState, verdict: Verdict
) -> None:
    """First it gets no more calls; one that is stopped, or idle for long, is ended."""
    found, why = judge(signs, state, ping_timeout=10.0)
    assert found is verdict
    assert bool(why) is (verdict in {Verdict.WITHDRAW, Verdict.KILL})


@pytest.mark.parametrize(
    ("call_s", "limit_s", "verdict"),
    [
        (1000.0, None, Verdict.LEAVE),
        (5.5, 5.0, Verdict.LEAVE),
        (6.1, 5.0, Verdict.KILL),
    ],
)
def test_a_call_beyond_its_limit_ends_the_replica_that_could_not_end_it(
    call_s: float, limit_s: float | None, verdict: Verdict
) -> None:
    signs = busy(3.0, call_s=call_s)
    found, why = judge(signs, READY, ping_timeout=10.0, call_timeout=limit_s)
    assert found is verdict
    assert "call_timeout of 5 s" in why or verdict is Verdict.LEAVE


def test_ping_timeout_is_the_services_own() -> None:
    assert judge(idle(3.0), READY, ping_timeout=2.0)[0] is Verdict.KILL
    assert judge(idle(30.0), UNREADY, ping_timeout=60.0)[0] is Verdict.LEAVE


def test_lease_is_renewed_well_before_it_ends_and_seldom_otherwise() -> None:
    assert ping_pause_s(None) == ping_pause_s(10.0) == PING_S
    assert ping_pause_s(0.6) == pytest.approx(0.2)
    assert ping_pause_s(10.0, 1.2) == pytest.approx(0.4)
    assert 0 < ping_pause_s(-1.0) < 0.1


def test_pings_that_are_due_around_one_round_go_out_together() -> None:
    """Else each replica would wake the agent on its own; a short lease is kept to more exactly."""
    assert is_due(10.0, 10.0 - 0.4 * ROUND_S, PING_S)
    assert is_due(10.0, 10.0 + 0.4 * ROUND_S, PING_S)
    assert not is_due(10.0, 10.0 + 0.6 * ROUND_S, PING_S)
    assert not is_due(10.0, 10.0 + 0.4 * ROUND_S, 0.2)
