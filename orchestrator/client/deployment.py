"""A handle on one generation of a deployment: watch it, wait for it, end it.

A Deployment holds no state of its own; every answer is read from the store when it is asked for.
Waiting blocks on the generation's event stream and reads the state after each event, so that it
returns within milliseconds of the change and never depends on an event that was missed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self, assert_never

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..errors import (
    DeploymentCancelled,
    DeploymentFailed,
    UnknownDeployment,
    UnknownTask,
    WaitTimeout,
)
from ..rollout.promotion import promote
from ..states import DeploymentState, TaskState
from ..status.failure import explain
from ..status.lost_data import gone, not_startable
from ..status.read_status import GONE, read_failures
from .deployment_view import DeploymentView
from .notice import Notice
from .progress_line import progress_line
from .submitting.submitter import submitter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from typing import Any

    from ..change.reuse import Reuse
    from ..security.signing import Signer
    from ..store.records import GenerationRecord, LogEntry
    from ..store.records.events import Event
    from ..store.store import Store
    from .progress_line import ProgressLine
    from .tracing import DeploymentSpan

BLOCK_MS = 1000
RESTORED_S = 10.0
"""Seconds for which workers may take to bring a deployment back into a Redis without data."""
STOP_TIMEOUT_S = 60.0
UNREACHED = (RedisConnectionError, RedisTimeoutError)


class Deployment(DeploymentView):
    """One generation of a deployment: `id` is NAME@GENERATION."""

    def __init__(
        self,
        store: Store,
        name: str,
        generation: int,
        *,
        signer: Signer | None = None,
        settled: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.generation = generation
        self._store = store
        self._signer = signer
        self._settled = settled or (lambda _: None)
        # Whether this handle has found it, and in which store.
        self._was_known = False
        self._store_id: str | None = None
        # Of who has submitted it, where traces are asked for.
        self.span: DeploymentSpan | None = None
        # Of who has submitted it: what it has of an earlier generation.
        self.reuse: Reuse | None = None

    def reusing(self, reuse: Reuse | None) -> Self:
        """Note what it has of an earlier generation, and return it."""
        self.reuse = reuse
        return self

    def __await__(self) -> Generator[Any, None, Deployment]:
        """Wait as `wait` does, from async code; the waiting is a thread's."""
        import asyncio

        return asyncio.to_thread(self.wait).__await__()

    def wait(self, timeout: float | None = None, *, progress: bool = True) -> Deployment:
        """Return the deployment when it is ready.

        `timeout` is in seconds. A line shows how far it is, unless `progress` is false. Raises
        DeploymentFailed, which names each failed task; DeploymentCancelled; TimeoutError, after
        which the deployment goes on. While no live worker could run what is next, standard error
        says why.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with progress_line(self.id, wanted=progress) as line:
            return self._wait(deadline, line)

    def _wait(self, deadline: float | None, line: ProgressLine) -> Deployment:
        notice, left, seen = Notice(self._why_waiting), -1, "0-0"
        while True:
            record = self._record()
            if self._is_settled(record):
                self._settled(self.name)
                return self
            total = record.total - len(record.services)
            line.show(str(record.state), max(0, total - record.left), total)
            if record.left == left:
                notice.tick()
            else:
                notice.moved()
                left = record.left
            # Not the events: thousands a second come from a busy deployment.
            seen = self._course_after(seen, self._block_ms(deadline))

    def progress(
        self, *, timeout: float | None = None, after: str | None = None
    ) -> Iterator[Event | None]:
        """Yield each event until the deployment is ready, and None when nothing comes for a second.

        It begins with the first event, or with the one `after` that id. Raises what `wait` raises,
        after the events that led to it.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        notice = Notice(self._why_waiting)
        after, block_ms = after or self._beginning(), 0
        while True:
            # The state first: all events that led to it are then there to be read.
            record = self._record()
            events = self._events_after(after, block_ms)
            for event in events:
                after = event.id
                if event.generation == self.generation:
                    yield event
            if events:
                notice.moved()
                block_ms = 0
                # A busy deployment writes thousands a second: they are read in bunches.
                if not any(event.event.startswith("deployment.") for event in events):
                    time.sleep(0.004)
                continue
            if self._is_settled(record):
                self._settled(self.name)
                return
            if block_ms:
                notice.tick()
                yield None
            block_ms = self._block_ms(deadline)

    def events(self, follow: bool = True, *, after: str | None = None) -> Iterator[Event]:
        """Yield the generation's events from the first (or from the one `after` that id) on.

        With `follow` it goes on until the generation has ended; without, until what is known now.
        """
        after = after or self._beginning()
        while True:
            ended = not follow or self._has_ended(self._record())
            events = self._events_after(after, 0 if ended else BLOCK_MS)
            for event in events:
                after = event.id
                if event.generation == self.generation:
                    yield event
            if ended and not events:
                return

    def logs(
        self, task: str | None = None, follow: bool = False, *, module: str | None = None
    ) -> Iterator[LogEntry]:
        """Yield the output of one task (`KIND:PATH`), of one module, or of all.

        With `follow` it goes on until the generation has ended. A `task` without a kind is taken
        for a module's path. Raises UnknownTask, which tells near ones.
        """
        if task is not None and ":" not in task:
            task, module = None, task
        self._check_known(task, module)
        return self._logs(task, module, follow)

    def _logs(self, task: str | None, module: str | None, follow: bool) -> Iterator[LogEntry]:
        after = "0"
        while True:
            ended = not follow or self._has_ended(self._record())
            lines = self._lines_after(after, 0 if ended else BLOCK_MS)
            for line in lines:
                after = line.id
                if task in {None, line.task} and module in {None, line.path}:
                    yield line
            if ended and not lines:
                return

    def cancel(self, reason: str = "cancelled by hand") -> Deployment:
        """Start nothing more of it and end what runs; its task outcomes stay."""
        self._store.deployments.cancel(self.name, self.generation, reason)
        return self

    def promote(self) -> Deployment:
        """Make this canary the current generation in one step; what was current stops.

        Raises PlanError when it is no canary, or lacks replicas.
        """
        promote(self._store, self.name, self.generation, submitter())
        self._settled(self.name)
        return self

    def resume(self) -> Deployment:
        """Run what has not succeeded again, and bring back replicas that are gone.

        Raises DataLost for one whose tree Redis has lost.
        """
        if (record := self._record()).is_restored:
            raise not_startable(record)
        self._store.deployments.resume(self.name, self.generation)
        return self

    def stop(self, timeout: float | None = STOP_TIMEOUT_S) -> Deployment:
        """Stop what it serves, parents before children, and return when all is gone.

        Raises TimeoutError after `timeout` seconds, when the stopping goes on without the caller;
        with 0 it isn't waited for at all.
        """
        self._store.deployments.stop(self.name, self.generation)
        return self if timeout == 0 else self.wait_stopped(timeout)

    async def astop(
        self,
        timeout: float | None = STOP_TIMEOUT_S,  # noqa: ASYNC109 - the thread keeps it
    ) -> Deployment:
        """Do what `stop` does, from async code; the waiting is a thread's."""
        import asyncio

        return await asyncio.to_thread(self.stop, timeout)

    def wait_stopped(self, timeout: float | None = None) -> Deployment:
        """Return when nothing of it runs any more; TimeoutError after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        after = self._beginning()
        while not self._has_ended(self._record()):
            block_ms = self._block_ms(deadline)
            events = self._events_after(after, block_ms)
            after = events[-1].id if events else after
        self._settled(self.name)
        return self

    def wait_unserved(self, paths: Sequence[str], timeout: float | None = None) -> Deployment:
        """Return when no replica of the services at `paths` runs.

        Raises TimeoutError after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        after = self._beginning()
        while self._live_replicas(paths):
            block_ms = self._block_ms(deadline)
            events = self._events_after(after, block_ms)
            after = events[-1].id if events else after
        return self

    def _beginning(self) -> str:
        """Return the place in the name's history before this generation's first event."""
        # Ids of a stream are milliseconds by the clock of Redis, as the time of creation is.
        return f"{int(self._record().created_at * 1000) - 1}-0"

    def _check_known(self, task: str | None, module: str | None) -> None:
        wanted = task or module
        if wanted is None:
            return
        known = self._store.tasks.of(self.name, self.generation)
        paths = {each.path for each in known if each.path} | set(self._record().services)
        if wanted not in paths | {each.id for each in known}:
            import difflib

            near = difflib.get_close_matches(
                wanted, [each.id for each in known] if task else sorted(paths), 3
            )
            hint = f": did you mean {' or '.join(near)}?" if near else ""
            raise UnknownTask(f"{self.id} has no task or module {wanted!r}{hint}")

    def _record(self) -> GenerationRecord:
        record = self._store.deployments.generation(self.name, self.generation) or self._restored()
        if record is None:
            if (lost := gone(self._store, self.id, self.name)) is not None:
                raise lost
            raise UnknownDeployment(
                f"{self.id} isn't known any more: its history has been removed",
                name=self.name,
            )
        if not self._was_known:
            self._was_known, self._store_id = True, self._store.agents.store_id()
        return record

    def _restored(self) -> GenerationRecord | None:
        """Return it when workers have brought it back, if Redis has lost its data since."""
        if not self._was_known or self._store.agents.store_id() == self._store_id:
            return None
        deadline = time.monotonic() + RESTORED_S
        record = None
        while record is None and (left_s := deadline - time.monotonic()) > 0:
            # The first state that it comes to ends the read.
            self._course_after("0-0", max(1, int(left_s * 1000)))
            record = self._store.deployments.generation(self.name, self.generation)
        return record

    def _events_after(self, after: str, block_ms: int) -> list[Event]:
        try:
            return self._store.history.events(self.name, after, block_ms)
        except UNREACHED:
            # The wait broke off; a read that doesn't wait is repeated until Redis is back.
            return self._store.history.events(self.name, after)

    def _course_after(self, seen: str, block_ms: int) -> str:
        try:
            return self._store.deployments.course(self.name, self.generation, seen, block_ms)
        except UNREACHED:
            return self._store.deployments.course(self.name, self.generation, seen)

    def _lines_after(self, after: str, block_ms: int) -> list[LogEntry]:
        try:
            return self._store.history.logs(self.name, self.generation, after, block_ms=block_ms)
        except UNREACHED:
            return self._store.history.logs(self.name, self.generation, after)

    def _block_ms(self, deadline: float | None) -> int:
        """Return how long to block next; TimeoutError when the deadline has passed."""
        left_s = BLOCK_MS / 1000 if deadline is None else deadline - time.monotonic()
        if left_s <= 0:
            raise WaitTimeout(
                f"the wait for {self.id} has ended and it is {self._record().state} and goes on: "
                f"see `rootward status {self.name}`"
            )
        return max(1, min(int(left_s * 1000), BLOCK_MS))

    def _is_settled(self, record: GenerationRecord) -> bool:
        """Return whether it is ready; raise when it can't become so any more."""
        if self.span is not None:
            self.span.follow(record.state, record.reason)
        match record.state:
            case DeploymentState.READY:
                return True
            case DeploymentState.PENDING | DeploymentState.PROGRESSING | DeploymentState.DEGRADED:
                return False
            case DeploymentState.FAILED:
                raise self._failed(record)
            case DeploymentState.CANCELLED:
                raise self._cancelled(record, "was cancelled")
            case DeploymentState.STOPPING | DeploymentState.STOPPED:
                raise self._cancelled(record, "has been stopped")
            case _:
                assert_never(record.state)

    def _has_ended(self, record: GenerationRecord) -> bool:
        if record.is_over:
            return True
        ending = record.state.is_final or record.state is DeploymentState.STOPPING
        return ending and not self._live_replicas()

    def _live_replicas(self, paths: Sequence[str] | None = None) -> list[str]:
        # With its workers gone nobody may be left to say so: what has no lease runs no more.
        return [
            replica.replica
            for replica, lease_ms in self._store.registry.replicas(self.name, self.generation)
            if lease_ms > 0 and replica.state not in GONE
            if paths is None or replica.path in paths
        ]

    def _failed(self, record: GenerationRecord) -> DeploymentFailed:
        failures = read_failures(self._store, self.name, self.generation)
        skipped = [
            task.id
            for task in self._store.tasks.of(self.name, self.generation)
            if task.state is TaskState.SKIPPED and task.kind != "join"
        ]
        return DeploymentFailed(
            explain(self.name, self.generation, record.reason, failures, skipped),
            deployment=self.name,
            generation=self.generation,
            failures=failures,
        )

    def _cancelled(self, record: GenerationRecord, what: str) -> DeploymentCancelled:
        reason = f" ({record.reason})" if record.reason else ""
        return DeploymentCancelled(
            f"{self.id} {what}{reason}; submit again, or `rootward resume {self.name}`",
            deployment=self.name,
            generation=self.generation,
        )

    def _why_waiting(self) -> str | None:
        return self.status().reason
