"""What the commands print and return, run as a user runs them."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import rootward, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.programs import Program

APP = """
    from rootward import ModuleBase, ServerModule

    class Count(ModuleBase):
        def forward(self, count):
            yield from range(count)

    class Fails(ModuleBase):
        def _get_train_tasks(self):
            return self.train

        def train(self):
            raise ValueError("no good data")

    counting = ServerModule(Count(), stream=True)
    failing = Fails()
"""


@pytest.fixture
def command(environ: dict[str, str | None], tmp_path: Path) -> Callable[..., Program]:
    """Run a command in a folder that holds the program of these tests."""
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    return lambda *arguments: run(rootward(*arguments), folder=tmp_path, environ=environ)


def test_a_stream_is_a_line_for_each_item(command: Callable[..., Program], name: str) -> None:
    assert command("deploy", "app.py:counting", "--name", name).process.returncode == 0
    called = command("gateway", "call", name, "3")
    assert (called.process.returncode, called.stdout) == (0, "0\n1\n2\n")
    command("stop", name)


def test_a_resume_shows_what_it_does_itself(command: Callable[..., Program], name: str) -> None:
    assert command("deploy", "app.py:failing", "--name", name).process.returncode == 1
    resumed = command("resume", name)
    assert resumed.process.returncode == 1
    assert "attempt 2" in resumed.stderr
    assert "submitted" not in resumed.stderr


def test_the_status_of_a_failure_is_no_failure(command: Callable[..., Program], name: str) -> None:
    command("deploy", "app.py:failing", "--name", name)
    status = command("status", name, "--json")
    assert status.process.returncode == 0
    (task,) = json.loads(status.stdout)["tasks"]
    assert task["error"] == {"type": "ValueError", "message": "no good data"}


def test_scaling_what_was_stopped_is_wrong_usage(
    command: Callable[..., Program], name: str
) -> None:
    command("deploy", "app.py:counting", "--name", name)
    command("stop", name)
    scaled = command("scale", name, "2")
    assert scaled.process.returncode == 2
    assert "is stopped" in scaled.stderr


def test_a_generation_is_a_number(command: Callable[..., Program], name: str) -> None:
    command("deploy", "app.py:failing", "--name", name)
    status = command("status", f"{name}@x")
    assert status.process.returncode == 2
    assert "'x' is no generation" in status.stderr


def test_the_doctor_knows_a_foreign_secret(
    command: Callable[..., Program], environ: dict[str, str | None], tmp_path: Path, name: str
) -> None:
    command("deploy", "app.py:failing", "--name", name)
    foreign = {**environ, "ROOTWARD_SECRET": "another secret that nobody else has"}
    told = run(rootward("doctor"), folder=tmp_path, environ=foreign)
    assert "was submitted with another secret" in told.stdout
