"""What a worker logs of its tasks: a line for each, and one more for those that take long.

The events are called as in a deployment's history. A task that is over within a second has the line
of its end alone; with debug messages on, the line of its start comes at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from rootward.orchestrator.states import TaskState

if TYPE_CHECKING:
    from .assignment import Assignment, Outcome

logger = logging.getLogger(__name__)

LONG_S: Final = 1.0


class TaskLine:
    """The lines of one task, from its start to its end."""

    __slots__ = ("_assignment", "_began", "_timer")

    def __init__(self, assignment: Assignment) -> None:
        """Take the time; say that it has begun once that is worth a line."""
        self._assignment = assignment
        self._began = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        if logger.isEnabledFor(logging.DEBUG):
            self._say_start()
        elif logger.isEnabledFor(logging.INFO):
            self._timer = asyncio.get_running_loop().call_later(LONG_S, self._say_start)

    def end(self, outcome: Outcome | None) -> None:
        """Say how it has ended; None: it goes back to its queue."""
        if self._timer is not None:
            self._timer.cancel()
        seconds = time.monotonic() - self._began
        if outcome is None and self._assignment.is_leaving:
            what = f"goes back to its queue after {seconds:.2f} s: this worker is leaving"
            self._say(logging.INFO, "task.returned", what)
        elif outcome is None:
            self._say(logging.DEBUG, "task.lost", f"goes back to its queue after {seconds:.2f} s")
        elif outcome.state is TaskState.FAILED:
            error = outcome.error or {}
            message = (error.get("message", "").splitlines() or [""])[0]
            what = f"failed after {seconds:.2f} s: {error.get('type', '')}: {message}"
            self._say(logging.WARNING, "task.failed", what)
        else:
            self._say(logging.INFO, "task.succeeded", f"succeeded in {seconds:.2f} s")

    def _say_start(self) -> None:
        self._say(logging.INFO, "task.started", "has started")

    def _say(self, level: int, event: str, what: str) -> None:
        if not logger.isEnabledFor(level):
            return
        claim = self._assignment.claim
        again = f" (attempt {claim.attempt})" if claim.attempt > 1 else ""
        logger.log(
            level,
            "%s of %s@%s %s%s",
            claim.task,
            claim.name,
            claim.generation,
            what,
            again,
            extra={
                "event": event,
                "task": claim.task,
                "deployment": claim.name,
                "generation": claim.generation,
                "attempt": claim.attempt,
            },
        )
