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

from rootward.modules.errors import RootwardError, SignatureError
from rootward.modules.processes.forkserver import LoadFailed
from rootward.modules.processes.scarcity import is_scarcity

from ..replicas.replica_handle import UserFailure
from .assignment import Assignment, Error, Leaving, NotBegun, Outcome, TaskLost, verify
from .task_log import TaskLine

if TYPE_CHECKING:
    from ..replicas.supervisor import Supervisor
    from ..slots.pool import SlotPool
    from .generation import Generation
    from .generations import Generations

logger = logging.getLogger(__name__)

Run = Callable[[Assignment], Awaitable[Outcome | None]]
Watch = Callable[[Run, Assignment], Awaitable[Outcome | None]]
Told = Callable[[Outcome | None], None]

# Before a task that the machine had no room for goes back: by then it may have some.
_SCARCE_S = 1.0
_SUPERVISED = ("prepare", "deploy")


class Runner:
    """Runs the tasks of one agent; `on_room` is called when a task turns out to need no slot."""

    def __init__(
        self,
        generations: Generations,
        slots: SlotPool,
        supervisor: Supervisor | None,
        on_room: Callable[[], None],
    ) -> None:
        """Run nothing yet; without a supervisor, everything is a task of slots."""
        self._generations, self._slots, self._supervisor = generations, slots, supervisor
        self._on_room = on_room
        self.is_leaving = False
        self._store, self._link = generations.store, generations.link
        # Each stands around the run of a task; empty unless somebody counts or traces.
        self.watches: list[Watch] = []
        self._supervised: dict[Assignment, asyncio.Task[None]] = {}
        self._watched: set[asyncio.Task[None]] = set()

    def begin(self, assignment: Assignment, told: Told) -> None:
        """Begin to run it; `told` is called once, with what `run` returns, maybe at once."""
        if not self.watches:
            self._begin(assignment, told)
            return
        watched = asyncio.create_task(self._watch(assignment, told), name=assignment.claim.task)
        self._watched.add(watched)
        watched.add_done_callback(self._watched.discard)

    async def run(self, assignment: Assignment) -> Outcome | None:
        """Run it to its outcome; None when it goes back to its queue."""
        run: Run = self._run
        for watch in self.watches:
            run = partial(watch, run)
        return await run(assignment)

    async def _watch(self, assignment: Assignment, told: Told) -> None:
        told(await self.run(assignment))

    async def _run(self, assignment: Assignment) -> Outcome | None:
        ended: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()

        def take(outcome: Outcome | None) -> None:
            # Whoever waited may have gone.
            if not ended.done():
                ended.set_result(outcome)

        self._begin(assignment, take)
        return await ended

    def _begin(self, assignment: Assignment, told: Told) -> None:
        claim = assignment.claim
        timer: asyncio.TimerHandle | None = None
        line = TaskLine(assignment)

        def tell(result: Outcome | BaseException) -> None:
            if timer is not None:
                timer.cancel()
            outcome = (
                self._outcome(assignment, result) if isinstance(result, BaseException) else result
            )
            line.end(outcome)
            if outcome is None and isinstance(result, BaseException) and is_scarcity(result):
                asyncio.get_running_loop().call_later(_SCARCE_S, told, None)
            else:
                told(outcome)

        try:
            assignment.mark = verify(claim, self._generations.signer)
            generation = self._generations.of(assignment.place, assignment.mark)
            generation.learn(claim)
        except Exception as error:
            tell(error)
            return
        if claim.timeout and claim.timeout > 0:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(claim.timeout, self._expire, assignment)
        if self._supervisor is None or claim.kind not in _SUPERVISED:
            self._slots.run(assignment, generation, tell)
        else:
            work = self._supervise(self._supervisor, assignment, generation, tell)
            self._supervised[assignment] = asyncio.create_task(work, name=claim.task)

    def end(self, assignment: Assignment, error: Error) -> None:
        """End the process of a running task, which then fails with `error`."""
        assignment.ended_by = error
        if self._slots.kill(assignment):
            return
        if self._supervisor is None or not self._supervisor.cancel(assignment, error["message"]):
            # Its tree is still being loaded, which may take for ever.
            self._cancel(assignment)

    async def flush(self, assignment: Assignment) -> None:
        """Store what this task has printed since the last time."""
        if assignment.output.is_waiting:
            assignment.flushes += 1
            claim, output = assignment.claim, assignment.output.take()
            number = assignment.flushes
            with assignment.flushing():
                await self._link.insist(
                    self._store.tasks.log, claim.job_id, claim.token, number, output
                )

    async def hand_back(self, assignment: Assignment) -> None:
        """Queue it again, after what it has printed."""
        await self.flush(assignment)
        claim, back = assignment.claim, self._store.tasks.hand_back
        leaving = assignment.is_leaving
        await self._link.insist(
            back, claim.job_id, claim.token, lost=assignment.lost, is_leaving=leaving
        )

    async def close(self) -> None:
        """Let go of what is still being brought up."""
        left = [*self._supervised.values(), *self._watched]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _supervise(
        self,
        supervisor: Supervisor,
        assignment: Assignment,
        generation: Generation,
        tell: Callable[[Outcome | BaseException], None],
    ) -> None:
        result: Outcome | BaseException
        try:
            if assignment.claim.kind == "prepare":
                result = await supervisor.prepare(assignment, generation)
            elif await generation.serves(assignment.claim.path):
                assignment.needs_slot = False
                self._on_room()
                result = await supervisor.deploy(assignment, generation)
            else:
                self._slots.run(assignment, generation, tell)
                return
        except BaseException as error:
            result = error
        finally:
            del self._supervised[assignment]
        tell(result)

    def _expire(self, assignment: Assignment) -> None:
        assignment.is_late = True
        if not self._slots.drop(assignment, TimeoutError()):
            self._cancel(assignment)

    def _cancel(self, assignment: Assignment) -> None:
        if (task := self._supervised.get(assignment)) is not None:
            task.cancel()

    def _outcome(self, assignment: Assignment, error: BaseException) -> Outcome | None:
        """Return what an error makes of a task: an outcome, or None to queue it again."""
        if isinstance(error, NotBegun):
            return None
        if isinstance(error, Leaving) or (self.is_leaving and isinstance(error, TaskLost)):
            assignment.is_leaving = True
            return None
        if assignment.ended_by is None and is_scarcity(error):
            logger.warning(
                "%s goes back to its queue: %s", assignment.claim.task, error,
                extra={"event": "task.put_off"},
            )  # fmt: skip
            return None
        if assignment.is_late and isinstance(error, TimeoutError | asyncio.CancelledError):
            message = f"it ran for more than its {assignment.claim.timeout:g} s and was killed"
            return assignment.failed({"type": "TimeoutError", "message": message})
        if isinstance(error, SignatureError):
            return assignment.failed(error, retryable=False)
        if isinstance(error, TaskLost):
            return self._lost(assignment, str(error))
        if isinstance(error, LoadFailed):
            if error.is_loss:
                return self._lost(assignment, error.error["message"])
            if not assignment.output.is_waiting:
                assignment.output.add(2, error.output_tail)
            return assignment.failed(error.error)
        if isinstance(error, UserFailure):
            return assignment.failed(error.error)
        if assignment.ended_by is not None:
            return assignment.failed(assignment.ended_by, retryable=False)
        if isinstance(error, asyncio.CancelledError):
            # Its generation was dropped while it was loaded.
            return None
        if not isinstance(error, RootwardError):
            logger.error(
                "task %s", assignment.claim.task, exc_info=error, extra={"event": "task.broken"}
            )
        return assignment.failed(error)

    def _lost(self, assignment: Assignment, how: str) -> Outcome | None:
        claim = assignment.claim
        if assignment.ended_by is not None:
            return assignment.failed(assignment.ended_by, retryable=False)
        outcome = assignment.failed({"type": "ProcessLost", "message": how}, retryable=False)
        if claim.kind == "prepare":
            # Its deploy does without it.
            return outcome
        logger.warning(
            "%s of %s@%s: %s", *(claim.task, claim.name, claim.generation, how),
            extra={"event": "task.lost"},
        )  # fmt: skip
        # The store counts losses, and knows whether this was one too many.
        assignment.lost = outcome.error
        return None
