"""The transition table: what may become what, and what only a person can bring back."""

from __future__ import annotations

import pytest

from rootward.orchestrator.states import (
    FINAL_TASK_STATES,
    RESUMED,
    TRANSITIONS,
    DeploymentState,
    ReplicaState,
    State,
    TaskState,
    may_become,
)

KINDS: list[type[State]] = [TaskState, ReplicaState, DeploymentState]


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_has_its_row(kind: type[State]) -> None:
    assert set(TRANSITIONS[kind]) == set(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_no_state_leads_to_one_of_another_kind(kind: type[State]) -> None:
    for table in (TRANSITIONS[kind], RESUMED[kind]):
        assert all(isinstance(later, kind) for row in table.values() for later in row)


def test_a_final_task_moves_only_when_it_is_resumed() -> None:
    for state in FINAL_TASK_STATES:
        assert state.is_final
        for later in set(TaskState) - {state}:
            assert not may_become(state, later)
    assert may_become(TaskState.FAILED, TaskState.QUEUED, resumed=True)
    assert not may_become(TaskState.SUCCEEDED, TaskState.QUEUED, resumed=True)


def test_every_deployment_can_reach_an_end() -> None:
    for state in DeploymentState:
        reached, work = {state}, [state]
        while work:
            for later in TRANSITIONS[DeploymentState][work.pop()]:
                if later not in reached:
                    reached.add(DeploymentState(later))
                    work.append(DeploymentState(later))
        assert any(each.is_final for each in reached), state
