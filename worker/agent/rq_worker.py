"""The RQ side of an agent: a real RQ worker for RQ's tools, with its own way to take jobs.

`rq info`, RQ's dashboards, `rq suspend`, stop-job and the shutdown command work on it. Of RQ's
own loop nothing is used: jobs are claimed and finished by the store, and nothing that RQ's
registries say decides anything here. Commands arrive in RQ's pub/sub thread and are handed on as
they come.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rq import worker_registration
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import now
from rq.worker import BaseWorker, WorkerStatus

from rootward.orchestrator.store.rq_compat import Serializer

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

_SHORTEST_TTL_S = 60


class RqWorker(BaseWorker):
    """An RQ worker named as its agent is; commands are told from a thread of their own."""

    def __init__(
        self,
        connection: Redis,
        *,
        name: str,
        queues: Sequence[str],
        lease_s: float,
        on_stop_job: Callable[[str], None],
        on_shutdown: Callable[[], None],
    ) -> None:
        """Register nothing yet; RQ's tools see the dead for some time longer than a lease."""
        super().__init__(
            list(queues),
            name=name,
            connection=connection,
            serializer=Serializer,
            worker_ttl=max(_SHORTEST_TTL_S, round(3 * lease_s)),
        )
        self._on_stop_job = on_stop_job
        self._on_shutdown = on_shutdown
        self._told_at = float("-inf")

    def _set_connection(self, connection: Redis) -> Redis:
        # RQ would raise the socket time-out of the whole pool to minutes.
        return connection

    def _set_ip_address(self, connection: Redis) -> None:  # noqa: ARG002  # RQ's signature
        # The connection already has a name, and its address says nothing on a unix socket.
        self.ip_address = "unknown"

    def register_birth(self) -> None:
        """Show up in RQ's tools, also when one of this name died a moment ago and still shows."""
        self.birth_date = self.last_heartbeat = now()
        with self.connection.pipeline() as pipeline:
            pipeline.delete(self.key)
            pipeline.hset(self.key, mapping=self.serialize())
            pipeline.hset(self.key, "state", WorkerStatus.STARTED)
            worker_registration.register(self, pipeline)
            pipeline.expire(self.key, self.worker_ttl)
            pipeline.execute()
        if self.pubsub is None:
            self.subscribe()  # type: ignore[no-untyped-call]  # RQ's own

    def beat(self) -> tuple[bool, bool]:
        """Stay in RQ's lists; return whether all workers are suspended, and whether jobs wait.

        What is asked each time is only that, in one command while the answer is no: RQ is told of
        a living worker when half of the time has passed after which it would forget it.
        """
        if time.monotonic() >= self._told_at + self.worker_ttl / 2:
            self._show()
        if not self.connection.exists(WORKERS_SUSPENDED, *(queue.key for queue in self.queues)):
            return False, False
        return bool(self.connection.exists(WORKERS_SUSPENDED)), True

    def _show(self) -> None:
        with self.connection.pipeline(transaction=False) as pipeline:
            self.heartbeat(self.worker_ttl, pipeline=pipeline)
            is_new, *_ = pipeline.execute()
        self._told_at = time.monotonic()
        if is_new:
            # The beat was the first that RQ heard: it had forgotten this worker.
            self.register_birth()
            self._state = WorkerStatus.STARTED

    def unshown(self, *, is_busy: bool, is_suspended: bool) -> WorkerStatus | None:
        """Return the state to tell RQ's tools (`set_state`), None if they know it."""
        state = WorkerStatus.BUSY if is_busy else WorkerStatus.IDLE
        state = WorkerStatus.SUSPENDED if is_suspended else state
        return None if state == self.get_state() else state

    def retire(self) -> None:
        """Disappear from RQ's tools, and listen to commands no longer."""
        self.register_death()  # type: ignore[no-untyped-call]  # RQ's own
        self.unsubscribe()

    def unsubscribe(self) -> None:
        """End the pub/sub thread; it may be in the middle of a read, and it is a daemon."""
        thread: Any = self.pubsub_thread
        pubsub: Any = self.pubsub
        if thread is None or pubsub is None:
            return
        thread.stop()
        try:
            pubsub.unsubscribe()
            thread.join(timeout=0.5)
        except Exception as error:
            logger.debug("leaving pub/sub: %s", error, extra={"event": "commands.left"})

    def handle_payload(self, message: Mapping[str, Any]) -> None:
        """Take a command that RQ's tools have sent; what isn't understood is left alone."""
        try:
            payload = json.loads(message["data"])
        except ValueError:
            logger.warning("a command isn't JSON", extra={"event": "command.refused"})
            return
        command = payload.get("command")
        if command == "shutdown":
            self._on_shutdown()
        elif command in {"stop-job", "stop-execution"}:
            self._on_stop_job(str(payload.get("job_id", "")))
        else:
            logger.warning("no such command: %r", command, extra={"event": "command.refused"})

    def _pubsub_exception_handler(
        self,
        exc: Exception,
        pubsub: Any,  # noqa: ARG002  # RQ's signature
        pubsub_thread: Any,  # noqa: ARG002
    ) -> None:
        # RQ's own ends the thread at a time-out, and with it all commands.
        logger.debug("commands are away: %s", exc, extra={"event": "commands.away"})
        time.sleep(1.0)
