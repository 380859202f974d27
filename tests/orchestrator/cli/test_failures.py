"""How errors are told: short, with the user's own line, and with the right exit code."""

from __future__ import annotations

from typing import Any

import pytest

from rootward.modules.errors import TargetError, Unavailable
from rootward.orchestrator.cli.failures import (
    exit_code,
    explain,
    hint_lines,
    tell_failures,
    users_line,
)
from rootward.orchestrator.errors import DeploymentFailed, NoRedis, UnknownDeployment
from rootward.orchestrator.settings import SettingsError
from rootward.orchestrator.status.failure import Failure
from rootward.orchestrator.status.status import EndpointStatus, ServiceStatus, Status, TaskStatus

TRACEBACK = """Traceback (most recent call last):
  File "/usr/lib/python3.11/site-packages/worker/slot.py", line 10, in run
    task()
  File "/home/me/app.py", line 12, in train
    weights = load(path)
  File "/usr/lib/python3.11/json/__init__.py", line 1, in load
    raise ValueError("bad weights")
ValueError: bad weights
"""


def failure(**more: Any) -> Failure:
    """A failed training."""
    given: dict[str, Any] = {
        "task": "train:tree/a",
        "module": "tree/a",
        "worker": "w1",
        "attempt": 1,
        "error_type": "ValueError",
        "message": "bad weights",
        "traceback": TRACEBACK,
        "log_tail": tuple(f"line {n}" for n in range(30)),
    }
    return Failure(**{**given, **more})


def status() -> Status:
    """A deployment of which one module failed, one is skipped and one is ready."""
    endpoint = EndpointStatus(
        url="http://x", replica="r", worker="w1", state="ready", lease_ms=1000
    )
    return Status(
        deployment="tree",
        generation=1,
        state="failed",
        tasks=(
            TaskStatus(id="train:tree/a", kind="train", module="tree/a", state="failed"),
            TaskStatus(
                id="deploy:tree",
                kind="deploy",
                module="tree",
                state="skipped",
                reason="train:tree/a failed",
            ),
        ),
        services=(
            ServiceStatus(service="tree/b", deployment="tree", generation=1, endpoints=(endpoint,)),
        ),
    )


def test_a_failed_module_takes_at_most_15_lines() -> None:
    """Whatever the module printed and raised."""
    lines = explain(failure(message="\n".join("x" * 200 for _ in range(50))), status())
    assert len(lines) <= 15


def test_a_failed_module_is_explained() -> None:
    """Where, what, the user's own line, the last output, what was not started, how to go on."""
    text = "\n".join(explain(failure(), status()))
    assert "x train:tree/a failed on w1" in text
    assert "ValueError: bad weights" in text
    assert "/home/me/app.py:12 in train: weights = load(path)" in text
    assert "| line 29" in text
    assert "not started because of it: deploy:tree" in text
    assert "rootward logs tree tree/a" in text


def test_verbose_shows_everything() -> None:
    """The whole traceback and all of the tail that is known."""
    text = "\n".join(explain(failure(), status(), verbose=True))
    assert "site-packages/worker/slot.py" in text
    assert "| line 0" in text


def test_what_keeps_running_and_how_to_go_on_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A failure of one module doesn't end the others."""
    tell_failures(status(), [failure()])
    assert "still running: tree/b" in capsys.readouterr().err
    assert list(hint_lines(status())) == [
        "when the cause is mended: rootward resume tree (after a change of the code: deploy again)",
        "to stop what runs: rootward stop tree",
    ]


def test_many_failures_are_not_all_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The first few are explained, the rest is counted."""
    tell_failures(status(), [failure(task=f"train:tree/m{n}") for n in range(9)])
    told = capsys.readouterr().err
    assert "m4" in told
    assert "m5" not in told
    assert "and 4 more" in told


def test_an_error_of_another_process_is_placed_where_it_was_raised() -> None:
    """Not where the call stood that it came back through."""
    passed_on = TRACEBACK.replace("app.py", "caller.py")
    text = (
        f"rootward.modules.rpc.envelope._RemoteTraceback: \n{TRACEBACK}\n"
        f"The above exception was the direct cause of the following exception:\n\n{passed_on}"
    )
    place = users_line(text)
    assert place is not None
    assert place.startswith("/home/me/app.py:12")


@pytest.mark.parametrize("traceback", ["", "nonsense", TRACEBACK.replace("/home/me", "<frozen x>")])
def test_a_traceback_without_a_line_of_the_users_has_none(traceback: str) -> None:
    """Nothing is made up."""
    assert users_line(traceback) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoRedis("no"), 3),
        (UnknownDeployment("no", name="x"), 2),
        (TargetError("no"), 2),
        (SettingsError("no"), 2),
        (DeploymentFailed("no", deployment="x", generation=1), 1),
        (Unavailable("no"), 1),
        (TimeoutError("no"), 1),
        (KeyError("ours"), None),
    ],
)
def test_exit_codes(error: BaseException, code: int | None) -> None:
    """0 done, 1 failed, 2 wrong usage, 3 no Redis; None is a fault of our own."""
    assert exit_code(error) == code
