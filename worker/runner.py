"""One claimed task from its claim to its outcome, whatever happens on the way.

The chain is short: check the signature, learn the states that came with it, hand it to whoever
does that kind of work, and turn what comes back, or is raised, into an outcome. A process that
ends under its task is a loss: the task goes back to the queue, and fails once it has been lost
too often. What a task prints is stored while it runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from modules.errors import RootwardError, SignatureError
from modules.hosting import LoadFailed

from .assignment import Assignment, Error, NotBegun, Outcome, TaskLost, verify
from .held import UserFailure

if TYPE_CHECKING:
    from .generations import Generation, Generations
    from .slots import Slots
    from .supervisor import Supervisor

Run = Callable[[Assignment], Awaitable[Outcome | None]]
Watch = Callable[[Run, Assignment], Awaitable[Outcome | None]]

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 3


class Runner:
    """Runs the tasks of one agent; `on_room` is called when a task turns out to need no slot."""

    def __init__(
        self,
        generations: Generations,
        slots: Slots,
        supervisor: Supervisor | None,
        on_room: Callable[[], None],
    ) -> None:
        """Run nothing yet; without a supervisor, everything is a task of slots."""
        self._generations, self._slots, self._supervisor = generations, slots, supervisor
        self._on_room = on_room
        # Each stands around the run of a task; empty unless somebody counts or traces.
        self.watches: list[Watch] = []
        self._store, self._link = generations.store, generations.link

    async def run(self, assignment: Assignment) -> Outcome | None:
        """Run it to its outcome; None when it goes back to its queue. Never raises."""
        run: Run = self._run
        for watch in self.watches:
            run = partial(watch, run)
        return await run(assignment)

    async def _run(self, assignment: Assignment) -> Outcome | None:
        claim = assignment.claim
        limit_s = claim.timeout if claim.timeout and claim.timeout > 0 else None
        try:
            verify(claim, self._generations.signer)
            generation = self._generations.of(assignment.place)
            generation.learn(claim)
            if limit_s is None:
                return await self._work(assignment, generation)
            async with asyncio.timeout(limit_s):
                return await self._work(assignment, generation)
        except SignatureError as error:
            return assignment.failed(error, retryable=False)
        except TimeoutError:
            message = f"it ran for more than its {limit_s:g} s and was killed"
            return assignment.failed({"type": "TimeoutError", "message": message})
        except NotBegun:
            return None
        except TaskLost as error:
            return self._lost(assignment, str(error))
        except asyncio.CancelledError:
            if assignment.ended_by is None:
                raise
            return assignment.failed(assignment.ended_by, retryable=False)
        except LoadFailed as error:
            if error.is_loss:
                return self._lost(assignment, error.error["message"])
            if not assignment.output.is_waiting:
                assignment.output.add(2, error.output_tail)
            return assignment.failed(error.error)
        except UserFailure as error:
            return assignment.failed(error.error)
        except Exception as error:
            if assignment.ended_by is not None:
                return assignment.failed(assignment.ended_by, retryable=False)
            if not isinstance(error, RootwardError):
                logger.exception("task %s", claim.task, extra={"event": "task.broken"})
            return assignment.failed(error)

    def end(self, assignment: Assignment, error: Error) -> bool:
        """End the process of a running task, which then fails with `error`.

        False when it has no process yet: then its `run` is to be cancelled, with the same outcome.
        """
        assignment.ended_by = error
        if self._slots.kill(assignment):
            return True
        if self._supervisor is None:
            return False
        return self._supervisor.cancel(assignment, error["message"])

    async def flush(self, assignment: Assignment) -> None:
        """Store what this task has printed since the last time."""
        if assignment.output.is_waiting:
            assignment.flushes += 1
            claim, output = assignment.claim, assignment.output.take()
            number = assignment.flushes
            await self._link.insist(self._store.log, claim.job_id, claim.token, number, output)

    async def _work(self, assignment: Assignment, generation: Generation) -> Outcome:
        kind, path = assignment.claim.kind, assignment.claim.path
        if self._supervisor is None:
            return await self._slots.run(assignment, generation)
        if kind == "prepare":
            return await self._supervisor.prepare(assignment, generation)
        if kind == "deploy" and await generation.serves(path):
            assignment.needs_slot = False
            self._on_room()
            return await self._supervisor.deploy(assignment, generation)
        return await self._slots.run(assignment, generation)

    def _lost(self, assignment: Assignment, how: str) -> Outcome | None:
        claim = assignment.claim
        if assignment.ended_by is not None:
            return assignment.failed(assignment.ended_by, retryable=False)
        if claim.kind != "prepare" and claim.attempt < MOST_ATTEMPTS:
            logger.warning(
                "%s of %s@%s: %s; it is queued again",
                claim.task,
                claim.name,
                claim.generation,
                how,
                extra={"event": "task.lost"},
            )
            assignment.lost = how
            return None
        attempts = f" in attempt {claim.attempt}" if claim.attempt > 1 else ""
        return assignment.failed({"type": "ProcessLost", "message": f"{how}{attempts}"})
