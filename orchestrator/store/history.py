"""History in the store: the events of a deployment, and what tasks and replicas printed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .part import StorePart
from .records.events import Event
from .records.history import read_log
from .records.tasks import task_id
from .rq_compat import job_id

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .records import LogEntry


_LARGE_PARTS = ("plan", "tree", "states", "logs")


class HistoryStore(StorePart):
    """Reads what happened."""

    def events(self, name: str, after_id: str = "0-0", block_ms: int = 0) -> list[Event]:
        """Return up to 1,000 events after `after_id`; with `block_ms`, wait for the first."""
        return self._events_of(name, self._entries(self._keys.events(name), after_id, block_ms))

    def events_before(self, name: str, before_id: str, count: int) -> list[Event]:
        """Return up to `count` events before an id (`+`: the end), the newest first."""
        end = before_id if before_id == "+" else f"({before_id}"
        found = self._client.xrevrange(self._keys.events(name), end, "-", count)
        return self._events_of(name, found)

    def _events_of(self, name: str, entries: Sequence[Any]) -> list[Event]:
        jobs = [self._job_of(name, fields) for _, fields in entries]
        tasks = self._task_ids({job for job in jobs if job})
        return [
            Event.from_fields(id_.decode(), name, fields, tasks.get(job))
            for (id_, fields), job in zip(entries, jobs, strict=True)
        ]

    def _job_of(self, name: str, fields: Any) -> str:
        """Return the job id of an event that names its task by number, else nothing."""
        number = fields.get(b"i")
        if number is None:
            return ""
        return job_id(self._keys.prefix, name, int(fields[b"gen"]), int(number))

    def _task_ids(self, jobs: Collection[str]) -> dict[str, str]:
        """Return the task ids of jobs; those that are history no more are left out."""
        pipe = self._client.pipeline(transaction=False)
        for job in jobs:
            pipe.hmget(self._keys.job(job), b"description", b"rw_tail")
        told = zip(jobs, pipe.execute() if jobs else (), strict=True)
        return {
            job: task_id({b"description": first, b"rw_tail": rest or b""})
            for job, (first, rest) in told
            if first
        }

    def logs(
        self,
        name: str,
        generation: int,
        after_id: str = "0-0",
        *,
        path: str | None = None,
        block_ms: int = 0,
    ) -> list[LogEntry]:
        """Return output after `after_id`, of one module or of all, at most 1,000 pieces.

        What is of other modules counts neither as an answer nor as an end of the waiting.
        """
        key = self._keys.part(name, generation, "logs")
        deadline = time.monotonic() + block_ms / 1000
        while True:
            left_ms = int((deadline - time.monotonic()) * 1000)
            entries = self._entries(key, after_id, max(0, left_ms))
            lines = [read_log(id_, fields) for id_, fields in entries]
            chosen = [line for line in lines if path is None or line.path == path]
            if chosen or not lines:
                return chosen
            after_id = lines[-1].id

    def size(self, places: Sequence[tuple[str, int]]) -> int:
        """Return about how many bytes of memory generations take, with the code that they use."""
        pipe = self._client.pipeline(transaction=False)
        for place in places:
            pipe.hget(self._keys.generation(*place), "bundle")
        bundles = {found.decode() for found in (pipe.execute() if places else ()) if found}
        for place in places:
            for part in _LARGE_PARTS:
                pipe.memory_usage(self._keys.part(*place, part))
        for digest in bundles:
            pipe.memory_usage(self._keys.bundle(digest))
        return sum(found or 0 for found in (pipe.execute() if places else ()))

    def dropped_logs(self, name: str, generation: int) -> int:
        """Return how many pieces of output were dropped as others came.

        Servers before Redis 7 don't tell, and it is 0 there.
        """
        from redis.exceptions import ResponseError

        try:
            found = self._client.xinfo_stream(self._keys.part(name, generation, "logs"))
        except ResponseError:
            # Nothing was written.
            return 0
        return max(0, int(found.get("entries-added") or 0) - int(found["length"]))
