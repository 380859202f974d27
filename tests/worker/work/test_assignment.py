"""Nothing is run that a holder of the secret didn't ask for, and every error says enough."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from rootward.modules.errors import SignatureError
from rootward.orchestrator.security.signing import Signer, payload, payloads
from rootward.orchestrator.states import TaskState
from rootward.orchestrator.store.records import ERROR_FD, Claim
from rootward.orchestrator.store.rq_compat import Serializer
from rootward.worker.work import assignment
from rootward.worker.work.assignment import Assignment, Outcome, how_it_ended, verify

SIGNER = Signer(b"secret")
CLAIM = Claim(
    job_id="p-demo-1-0",
    name="demo",
    generation=1,
    task="train:demo",
    kind="train",
    path="demo",
    attempt=1,
    token="t",
    data=payload(SIGNER, "demo", 1, "train:demo", "p-demo-1-0"),
    queue="q",
)
PLACE = ("demo", 1, "train:demo", "p-demo-1-0", b"")


def test_a_signed_job_passes() -> None:
    verify(CLAIM, SIGNER)


def test_a_job_of_another_secret_or_moved_elsewhere_is_refused() -> None:
    with pytest.raises(SignatureError):
        verify(CLAIM, Signer(b"another"))
    for moved in (
        replace(CLAIM, name="other"),
        replace(CLAIM, task="eval:demo"),
        replace(CLAIM, generation=2),
        replace(CLAIM, job_id="p-demo-1-1"),
    ):
        with pytest.raises(SignatureError):
            verify(moved, SIGNER)


def test_the_trace_of_a_job_is_signed_with_it() -> None:
    context = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    make = payloads(SIGNER, "demo", 1, trace=context)
    data = make("train:demo", "p-demo-1-0")
    verify(replace(CLAIM, data=data), SIGNER)
    changed = data.replace(b"b7ad6b7169203331", b"b7ad6b7169203332")
    for other in (changed, data.replace(b"traceparent", b"tracepARENT")):
        with pytest.raises(SignatureError):
            verify(replace(CLAIM, data=other), SIGNER)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        Serializer.dumps(("os.system", None, ("demo", 1, "train:demo", "p-demo-1-0", b""), {})),
        Serializer.dumps(("rootward.worker.jobs.run_task", None, ("demo",), {})),
        Serializer.dumps(["rootward.worker.jobs.run_task"]),
        Serializer.dumps(("rootward.worker.jobs.run_task", None, PLACE, {"trace": 7})),
        Serializer.dumps(("rootward.worker.jobs.run_task", None, PLACE, {"trace": {}, "more": 1})),
    ],
)
def test_a_payload_that_isnt_ours_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="p-demo-1-0"):
        verify(replace(CLAIM, data=data), SIGNER)


def test_an_error_carries_the_last_lines_of_its_own_task() -> None:
    assignment = Assignment(claim=CLAIM)
    assignment.output.feed(2, b"one\ntwo\n")
    outcome = assignment.failed(ValueError("no"))
    assert outcome.error == {
        "type": "ValueError",
        "message": "no",
        "traceback": "",
        "log_tail": "one\ntwo",
    }
    finish = assignment.finish(outcome, SIGNER)
    assert finish.output == [
        (2, "one\ntwo\n"),
        (ERROR_FD, "failed in attempt 1: ValueError: no\n"),
    ]


def test_states_are_sealed_for_their_generation() -> None:
    outcome = Outcome(state=TaskState.SUCCEEDED, states=[b"entry"])
    (sealed,) = Assignment(claim=CLAIM).finish(outcome, SIGNER).states
    assert SIGNER.open_state(sealed, "demo", 1) == b"entry"
    with pytest.raises(SignatureError):
        SIGNER.open_state(sealed, "demo", 2)


def test_how_a_process_ended_is_told_by_name() -> None:
    assert how_it_ended(signal.SIGKILL) == "its process was killed by SIGKILL"
    assert how_it_ended(3 << 8) == "its process exited with code 3"
    assert os.WIFEXITED(3 << 8)
    assert how_it_ended(None) == "its process ended"


def test_states_that_redis_would_not_take_fail_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection would end in the midst of them, again and again."""
    monkeypatch.setattr(assignment, "MOST_STATES_BYTES", 100)
    outcome = Outcome(state=TaskState.SUCCEEDED, states=[bytes(60), bytes(60)])
    finish = Assignment(claim=CLAIM).finish(outcome, SIGNER)
    assert (finish.state, finish.states, finish.retryable) == (TaskState.FAILED, [], False)
    assert finish.error is not None
    assert finish.error["type"] == "StateTooLarge"
    assert "demo: a task changed 120 bytes of state, and Redis takes 100" in finish.error["message"]
    small = Outcome(state=TaskState.SUCCEEDED, states=[bytes(50), bytes(50)])
    assert Assignment(claim=CLAIM).finish(small, SIGNER).state is TaskState.SUCCEEDED


def test_a_finish_waits_for_the_output_that_is_on_its_way() -> None:
    called: list[str] = []
    assignment = Assignment(claim=CLAIM)
    with assignment.flushing():
        with assignment.flushing():
            assignment.when_flushed(lambda: called.append("finished"))
        assert called == []
    assert called == ["finished"]
    assignment.when_flushed(lambda: called.append("at once"))
    assert called == ["finished", "at once"]
