"""The lines that a worker logs of its tasks: one each, two for those that take long."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from rootward.orchestrator.states import TaskState
from rootward.orchestrator.store.records import Claim
from rootward.worker.work import task_log
from rootward.worker.work.assignment import Assignment, Outcome
from rootward.worker.work.task_log import TaskLine

if TYPE_CHECKING:
    import pytest

LOGGER = task_log.logger.name


def assignment(attempt: int = 1) -> Assignment:
    claim = Claim(
        job_id="j",
        name="digits",
        generation=3,
        task="train:digits/m",
        kind="train",
        path="digits/m",
        attempt=attempt,
        token="t",
        data=b"",
        queue="q",
    )
    return Assignment(claim=claim)


def test_a_task_has_the_line_of_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """With its name, how long it took and, of a failure, the first line of the error."""

    async def run() -> None:
        TaskLine(assignment()).end(Outcome(state=TaskState.SUCCEEDED))
        error = {"type": "ValueError", "message": "no\nmore"}
        TaskLine(assignment(2)).end(Outcome(state=TaskState.FAILED, error=error))

    with caplog.at_level(logging.INFO, LOGGER):
        asyncio.run(run())
    first, second = caplog.records
    assert first.getMessage().startswith("train:digits/m of digits@3 succeeded in 0.")
    assert second.getMessage().endswith("ValueError: no (attempt 2)")
    assert (first.event, second.event) == ("task.succeeded", "task.failed")
    assert second.levelno == logging.WARNING


def test_what_takes_long_has_the_line_of_its_start(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nobody wonders for hours what a worker does."""
    monkeypatch.setattr(task_log, "LONG_S", 0.0)

    async def run() -> None:
        said = asyncio.Event()
        line = TaskLine(assignment())
        # Timers that are due at the same time run in their order.
        asyncio.get_running_loop().call_later(0.001, said.set)
        await said.wait()
        line.end(None)

    with caplog.at_level(logging.INFO, LOGGER):
        asyncio.run(run())
    assert [record.event for record in caplog.records] == ["task.started"]


def test_debug_messages_say_all_and_quiet_ones_what_went_wrong(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`-v` and `-q`."""

    async def run() -> None:
        TaskLine(assignment()).end(Outcome(state=TaskState.SUCCEEDED))

    with caplog.at_level(logging.DEBUG, LOGGER):
        asyncio.run(run())
    assert [record.event for record in caplog.records] == ["task.started", "task.succeeded"]
    caplog.clear()
    with caplog.at_level(logging.WARNING, LOGGER):
        asyncio.run(run())
    assert caplog.records == []
