"""Deployments in the store: submitted, changed, and read.

A submission is staged in pieces that nobody sees and that expire, then sealed by one script, which
puts its first tasks on their queues. Cancel, stop, resume and scale are one script each. Every call
may be repeated; what has been done is not done twice.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final, Literal

from ..errors import IncompleteSubmission, other_secret
from .keys import STAGED_S
from .part import StorePart
from .records import DeploymentRecord, GenerationRecord, Reservation
from .records.deployments import read_generation
from .records.encoding import cut, seconds
from .rq_compat import job_prefix
from .scripts import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .records import ScaleChange, Submission, TaskSpec
    from .scripts import Value

TASKS_PER_PIECE: Final = 2000
"""Tasks, some hundred bytes each, that are sent at once."""
STATES_BYTES: Final = 1 << 22
"""Bytes of states that are sent at once, unless one entry is larger."""
SHORTEST_HISTORY_S: Final = 60.0
"""Seconds that an ended generation is kept at least, so that who waits for it can see its end."""
LONGEST_SEAL_S: Final = 60.0
"""Seconds after which a server that still runs one script is told as an error."""
_BUSY_PAUSE_S = 0.1


class DeploymentStore(StorePart):
    """Submits generations, cancels, stops, resumes and scales them, and reads how they stand."""

    def reserve(
        self, name: str, submission_id: str, fingerprints: Sequence[str] = ()
    ) -> Reservation:
        """Return the generation number of a submission, and the id of the store that gave it.

        The same submission id gets the same number.

        Raises WrongSecret, before anything is written, when `fingerprints` are given and the
        workers that live here have a secret that none of them tells.
        """
        keys = [self._keys.name(name), self._keys.reservation(name, submission_id)]
        keys += [self._keys.secret, self._keys.agents, self._keys.store]
        args: list[Value] = [STAGED_S * 6, secrets.token_hex(8), *fingerprints]
        number, store_id, scaled = self._scripts.run("reserve", keys, args)
        if not number:
            raise other_secret(self._clients.address)
        words = [text_of(word) for word in scaled]
        return Reservation(
            generation=int(number),
            store_id=text_of(store_id),
            scaled=dict(zip(words[::2], words[1::2], strict=True)),
        )

    def create(self, submission: Submission) -> None:
        """Store a submission whole and release its first tasks; a second call changes nothing.

        Cancels the generation before it if that still progresses. Raises IncompleteSubmission when
        storing took longer than an unfinished submission is kept, PlanError for a second canary or
        one of a name without a current generation.
        """
        part = (submission.name, submission.generation)
        queues = list(dict.fromkeys(task.queue for task in submission.tasks if task.data))
        number_of = {queue: number for number, queue in enumerate(queues, 1)}
        services: list[Value] = [value for pair in submission.services.items() for value in pair]
        fields: list[Value] = [v for pair in submission.rollout.fields().items() for v in pair]
        fields += [v for pair in submission.retention.fields().items() for v in pair]
        if submission.source is not None:
            fields += ["source", submission.source, "taken", len(submission.states)]
        if submission.expects is not None:
            fields += ["expects", submission.expects]
        self._stage_states(part, submission.states)
        *earlier, last = _pieces(submission.tasks, number_of)
        for number, piece in enumerate(earlier):
            key = self._keys.staged(*part, number)
            self._scripts.run("stage", [key], [STAGED_S, piece])
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
                submission.by,
                submission.how,
                job_prefix(self._keys.prefix, *part),
                submission.plan,
                submission.tree,
                last,
                submission.bundle,
                len(fields) // 2,
                len(queues),
                *fields,
                *queues,
                *services,
            ],
        )

    def _stage_states(self, part: tuple[str, int], states: Sequence[bytes]) -> None:
        """Store the entries that a state log begins with, as much at a time as a call should be."""
        keys, start = [self._keys.part(*part, "states"), self._keys.generation(*part)], 0
        while start < len(states):
            end, size = start, 0
            while end < len(states) and (end == start or size + len(states[end]) <= STATES_BYTES):
                size += len(states[end])
                end += 1
            args: list[Value] = [STAGED_S, start, *states[start:end]]
            if not self._scripts.run("stage_states", keys, args):
                raise IncompleteSubmission(
                    "the submission wasn't stored whole (its states): submit it again"
                )
            start = end

    def _seal(self, part: tuple[str, int], staged: int, args: Sequence[Value]) -> None:
        """Run the script that seals; of very many tasks it can take longer than an answer may.

        The call that is then sent again finds the script still running, and waits for its end.
        """
        from redis.exceptions import ResponseError

        keys = [self._keys.generation(*part)]
        keys += [self._keys.staged(*part, number) for number in range(staged)]
        deadline = time.monotonic() + LONGEST_SEAL_S
        while True:
            try:
                self._scripts.run("create", keys, [*part, *args])
            except ResponseError as error:
                if not str(error).startswith("BUSY ") or time.monotonic() > deadline:
                    raise
                time.sleep(_BUSY_PAUSE_S)
            else:
                return

    def cancel(self, name: str, generation: int, reason: str = "cancelled") -> bool:
        """Cancel a generation that progresses; False when it doesn't."""
        return self._change("cancel", name, generation, reason)

    def fail(self, name: str, generation: int, reason: str) -> bool:
        """Fail a generation that progresses, with what is left of it; False when it doesn't."""
        return self._change("fail", name, generation, reason)

    def stop(
        self, name: str, generation: int | None = None, reason: str = "stopped"
    ) -> tuple[int, ...]:
        """Have a generation, or all that are active, stop; return the numbers of those that do.

        One that failed or was cancelled and serves nothing stays as it is.
        """
        args: list[Value] = [name, "" if generation is None else generation, reason]
        return tuple(map(int, self._scripts.run("stop", [self._keys.name(name)], args)))

    def resume(self, name: str, generation: int) -> bool:
        """Run what has not succeeded, and have replicas that are gone brought back.

        False when there is nothing to resume or a newer generation has taken its place.
        """
        return self._change("resume", name, generation)

    def scale(
        self,
        name: str,
        generation: int,
        path: str,
        wanted: int,
        signature: str = "",
        *,
        lasting: Literal["", "keep", "forget"] = "",
        asked: tuple[str, str] = ("", ""),
        why: str = "",
    ) -> bool:
        """Change how many replicas a service should have; False when there is no such service.

        More than its plan has come only with the `signature` of that number. `asked` is what
        somebody wants by hand (`3` or `1..8`) and the signature of that; with nothing there, the
        tree's own range holds. With `keep` later generations of the name have as many, until one is
        scaled with `forget`.
        """
        wish = (path, wanted, signature, lasting, *asked, why)
        return self._change("scale", name, generation, *wish)

    def autoscale(self, name: str, generation: int, change: ScaleChange) -> bool:
        """Change how many replicas a service should have by its calls.

        False when their number isn't what it was `before`, or the generation has ended.
        """
        floor: Value = "" if change.floor is None else change.floor
        numbers = (change.path, change.before, change.wanted, change.signature, floor)
        sleeps = "" if change.wanted else "1"
        texts = (sleeps, change.why, change.bounds)
        return self._change("autoscale", name, generation, *numbers, *texts)

    def wake(self, name: str, generation: int, path: str, why: str = "a call waits for it") -> bool:
        """Give a service that sleeps a replica; False when it doesn't sleep."""
        return self._change("wake", name, generation, path, why)

    def add_repair(
        self, name: str, generation: int, path: str, *, spec: TaskSpec, job_id: str
    ) -> str | None:
        """Queue a deploy of `path` outside the plan; its id, or None when none is needed.

        `job_id` comes from `queue.repair_job_id`, and `spec` holds the payload signed for it, the
        queue and the time limit; the rest of `spec` isn't looked at.
        """
        timeout: Value = "" if spec.timeout is None else spec.timeout
        keys = [self._keys.generation(name, generation), self._keys.job(job_id)]
        args: list[Value] = [name, generation, job_id, path, spec.queue, spec.data, timeout]
        return job_id if self._scripts.run("repair", keys, args) else None

    def _change(self, script: str, name: str, generation: int, *args: Value) -> bool:
        key = self._keys.generation(name, generation)
        return bool(self._scripts.run(script, [key], [name, generation, *args]))

    def get(self, name: str) -> DeploymentRecord | None:
        """Return a deployment with its newest generation; None when there is none of the name."""
        found = self._deployments([name])
        return found[0] if found else None

    def all(self) -> list[DeploymentRecord]:
        """Return all deployments, the one with the newest generation first."""
        names = self._client.zrevrange(self._keys.deployments, 0, -1)
        return self._deployments([name.decode() for name in names])

    def names(self) -> list[str]:
        """Return the names of all deployments, also of those whose history is over."""
        return [name.decode() for name in self._client.zrange(self._keys.deployments, 0, -1)]

    def _deployments(self, names: Sequence[str]) -> list[DeploymentRecord]:
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.hgetall(self._keys.name(name))
        answers = zip(names, pipe.execute(), strict=True)
        # A number that was only reserved is no deployment yet.
        found = {name: fields for name, fields in answers if b"latest" in fields}
        newest = self._generations([(name, int(f[b"latest"])) for name, f in found.items()])
        return [
            DeploymentRecord(
                name=name,
                created_at=int(fields[b"created"]) / 1000,
                latest=int(fields[b"latest"]),
                warm=tuple(map(int, fields.get(b"warm", b"").split())),
                keep=int(fields.get(b"keep", 0)),
                current=int(fields[b"current"]) if b"current" in fields else None,
                canary=int(fields[b"canary"]) if b"canary" in fields else None,
                canary_percent=float(fields.get(b"canary_percent") or 0),
                canary_since=seconds(text_of(fields.get(b"canary_since", b""))),
                newest=newest.get((name, int(fields[b"latest"]))),
                scaled={
                    field.decode().removeprefix("scaled:"): value.decode()
                    for field, value in fields.items()
                    if field.startswith(b"scaled:")
                },
            )
            for name, fields in found.items()
        ]

    def generation(self, name: str, generation: int) -> GenerationRecord | None:
        """Return a generation; None when it never was or its history is over."""
        place = (name, generation)
        return self._generations([place]).get(place)

    def _generations(
        self, places: Sequence[tuple[str, int]]
    ) -> dict[tuple[str, int], GenerationRecord]:
        pipe = self._client.pipeline(transaction=True)
        for place in places:
            pipe.hgetall(self._keys.generation(*place))
            for part in ("services", "ready", "repairs", "scaling"):
                pipe.hgetall(self._keys.part(*place, part))
            pipe.hlen(self._keys.part(*place, "replicas"))
        answers = pipe.execute()
        told = ((place, answers[6 * i : 6 * i + 6]) for i, place in enumerate(places))
        return {
            place: read_generation(*place, found, parts)
            for place, (found, *parts) in told
            if b"state" in found
        }

    def generations(self, name: str) -> list[GenerationRecord]:
        """Return the generations that are stored, newest first."""
        latest = int(self._client.hget(self._keys.name(name), "latest") or 0)
        pipe = self._client.pipeline(transaction=False)
        numbers = range(latest, 0, -1)
        for number in numbers:
            pipe.exists(self._keys.generation(name, number))
        there = [n for n, exists in zip(numbers, pipe.execute(), strict=True) if exists]
        return list(self._generations([(name, number) for number in there]).values())

    def returnable(self, name: str, current: int | None) -> list[GenerationRecord]:
        """Return the generations that can become current once more, the newest first.

        They were ready at some time, and what it takes is there: plan, tree, code and states.
        """
        found = [
            record
            for record in self.generations(name)
            if record.was_ready and record.makes_current and record.generation != current
        ]
        pipe = self._client.pipeline(transaction=False)
        for record in found:
            parts = [self._keys.part(name, record.generation, part) for part in ("plan", "tree")]
            if record.bundle:
                parts.append(self._keys.bundle(record.bundle))
            pipe.exists(*parts)
            pipe.llen(self._keys.part(name, record.generation, "states"))
        answers = pipe.execute()
        return [
            record
            for record, parts, states in zip(found, answers[::2], answers[1::2], strict=True)
            if parts == (3 if record.bundle else 2) and states >= record.logged
        ]

    def active(self) -> list[tuple[str, int]]:
        """Return name and number of every generation that progresses, serves or stops."""
        ids = (id_.decode() for id_ in self._client.smembers(self._keys.active))
        parts = (id_.rpartition("@") for id_ in ids)
        return sorted((name, int(number)) for name, _, number in parts)

    def put_identity(self, name: str, generation: int, sealed: bytes) -> None:
        """Store what a generation's modules are made of; of one that is gone nothing is stored."""
        self._scripts.run(
            "put_identity", [self._keys.generation(name, generation)], [name, generation, sealed]
        )

    def identity(self, name: str, generation: int) -> bytes | None:
        """Return the sealed record of what a generation's modules are made of, if there is one."""
        found: bytes | None = self._client.get(self._keys.part(name, generation, "identity"))
        return found

    def plan(self, name: str, generation: int) -> bytes | None:
        """Return the sealed plan of a generation."""
        plan: bytes | None = self._client.get(self._keys.part(name, generation, "plan"))
        return plan

    def course(self, name: str, generation: int, after_id: str, block_ms: int = 0) -> str:
        """Wait until a generation has come to another state than at `after_id`; return the new id.

        That of the beginning is `0-0`; it is the same when nothing came in `block_ms`.
        """
        entries = self._entries(self._keys.part(name, generation, "course"), after_id, block_ms)
        return entries[-1][0].decode() if entries else after_id


def _pieces(tasks: Sequence[TaskSpec], number_of: Mapping[str, int]) -> list[bytes]:
    """Pack tasks as `create.lua` reads them; no tasks are one empty piece."""
    pieces = []
    for start in range(0, max(1, len(tasks)), TASKS_PER_PIECE):
        piece: list[bytes] = []
        for task in tasks[start : start + TASKS_PER_PIECE]:
            head, tail = cut(task.id)
            timeout = "" if task.timeout is None else task.timeout
            following = ",".join(map(str, task.next))
            wait = "-" if task.is_done else task.wait
            line = f"{wait} {following} {timeout} {number_of.get(task.queue, 0)} "
            line += f"{len(head)} {len(tail)} {len(task.data)}\n"
            piece += (line.encode(), head, tail, task.data)
        pieces.append(b"".join(piece))
    return pieces
