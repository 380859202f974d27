"""The part of the store that submits generations and changes what is asked of them.

A submission is staged in pieces that nobody sees and that expire, then sealed by one script, which
puts its first tasks on their queues. Cancel, stop, resume and scale are one script each. Every call
may be repeated; what has been done is not done twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ..errors import other_secret
from .keys import STAGED_S, Keys
from .record_codec import cut
from .rq_compat import job_prefix

if TYPE_CHECKING:
    from .connection import Clients
    from .records import Submission, TaskSpec
    from .scripts import Scripts, Value

TASKS_PER_PIECE: Final = 2000
"""Tasks, some hundred bytes each, that are sent at once."""
SHORTEST_HISTORY_S: Final = 60.0
"""Seconds that an ended generation is kept at least, so that who waits for it can see its end."""
LONGEST_SEAL_S: Final = 60.0
"""Seconds after which a server that still runs one script is told as an error."""
_BUSY_PAUSE_S = 0.1


class Submissions:
    """Submits generations, and cancels, stops, resumes and scales them."""

    clients: Clients
    keys: Keys
    scripts: Scripts

    def reserve(self, name: str, submission_id: str, fingerprints: Sequence[str] = ()) -> int:
        """Return the generation number of a submission; the same id gets the same number.

        Raises WrongSecret, before anything is written, when `fingerprints` are given and the
        workers that live here have a secret that none of them tells.
        """
        number = self.scripts.reserve(name, submission_id, STAGED_S * 6, fingerprints)
        if not number:
            raise other_secret(self.clients.address)
        return number

    def create(self, submission: Submission) -> None:
        """Store a submission whole and release its first tasks; a second call changes nothing.

        Cancels the generation before it if that still progresses. Raises IncompleteSubmission when
        storing took longer than an unfinished submission is kept.
        """
        part = (submission.name, submission.generation)
        queues = list(dict.fromkeys(task.queue for task in submission.tasks if task.data))
        number_of = {queue: number for number, queue in enumerate(queues, 1)}
        services: list[Value] = [value for pair in submission.services.items() for value in pair]
        *earlier, last = _pieces(submission.tasks, number_of)
        for number, piece in enumerate(earlier):
            self.scripts.stage(part, number, piece, STAGED_S)
        self._seal(
            part,
            len(earlier),
            [
                submission.id,
                ",".join(submission.kinds),
                int(submission.makes_current),
                submission.retries,
                "" if submission.deadline_s is None else submission.deadline_s,
                submission.owner or "",
                int(max(SHORTEST_HISTORY_S, submission.history_s)),
                job_prefix(self.keys.prefix, *part),
                submission.plan,
                submission.tree,
                last,
                len(queues),
                *queues,
                *services,
            ],
        )

    def _seal(self, part: tuple[str, int], staged: int, args: Sequence[Value]) -> None:
        """Run the script that seals; of very many tasks it can take longer than an answer may.

        The call that is then sent again finds the script still running, and waits for its end.
        """
        from redis.exceptions import ResponseError

        deadline = time.monotonic() + LONGEST_SEAL_S
        while True:
            try:
                self.scripts.create(part, staged, args)
            except ResponseError as error:
                if not str(error).startswith("BUSY ") or time.monotonic() > deadline:
                    raise
                time.sleep(_BUSY_PAUSE_S)
            else:
                return

    def cancel(self, name: str, generation: int, reason: str = "cancelled") -> bool:
        """Cancel a generation that progresses; False when it doesn't."""
        return self.scripts.cancel((name, generation), reason)

    def fail(self, name: str, generation: int, reason: str) -> bool:
        """Fail a generation that progresses, with what is left of it; False when it doesn't."""
        return self.scripts.fail((name, generation), reason)

    def stop(
        self, name: str, generation: int | None = None, reason: str = "stopped"
    ) -> tuple[int, ...]:
        """Have a generation, or all that are active, stop; return the numbers of those that do.

        One that failed or was cancelled and serves nothing stays as it is.
        """
        return tuple(self.scripts.stop(name, generation, reason))

    def resume(self, name: str, generation: int) -> bool:
        """Run what has not succeeded, and have replicas that are gone brought back.

        False when there is nothing to resume or a newer generation has taken its place.
        """
        return self.scripts.resume((name, generation))

    def scale(self, name: str, generation: int, path: str, wanted: int) -> bool:
        """Change how many replicas a service should have; False when there is no such service."""
        return self.scripts.scale((name, generation), path, wanted)

    def add_repair(
        self, name: str, generation: int, path: str, *, spec: TaskSpec, job_id: str
    ) -> str | None:
        """Queue a deploy of `path` outside the plan; its id, or None when none is needed.

        `job_id` comes from `queue.repair_job_id`, and `spec` holds the payload signed for it, the
        queue and the time limit; the rest of `spec` isn't looked at.
        """
        timeout: Value = "" if spec.timeout is None else spec.timeout
        args: list[Value] = [path, spec.queue, spec.data, timeout]
        return job_id if self.scripts.repair((name, generation), job_id, args) else None

    def own(self, owner: str, lease_ms: int) -> None:
        """Take or renew the lease of a program on the deployments that it owns."""
        self.scripts.own(owner, lease_ms)

    def disown(self, owner: str) -> tuple[str, ...]:
        """Stop all that a program owns; return the ids (`NAME@GENERATION`) of what stops."""
        return tuple(self.scripts.disown(owner))


def _pieces(tasks: Sequence[TaskSpec], number_of: Mapping[str, int]) -> list[bytes]:
    """Pack tasks as `create.lua` reads them; no tasks are one empty piece."""
    pieces = []
    for start in range(0, max(1, len(tasks)), TASKS_PER_PIECE):
        piece: list[bytes] = []
        for task in tasks[start : start + TASKS_PER_PIECE]:
            head, tail = cut(task.id)
            timeout = "" if task.timeout is None else task.timeout
            following = ",".join(map(str, task.next))
            line = f"{task.wait} {following} {timeout} {number_of.get(task.queue, 0)} "
            line += f"{len(head)} {len(tail)} {len(task.data)}\n"
            piece += (line.encode(), head, tail, task.data)
        pieces.append(b"".join(piece))
    return pieces
