"""Tasks in the store: claimed, finished, handed back, and read.

Each attempt of a task has a token of its own that must be equal for a write to count. `exchange` is
the whole traffic of a busy agent: it finishes tasks and claims others in one round trip.
"""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING, Any

from .part import PAGE, StorePart
from .records import Claim, Exchange, Finish, FinishResult, GenerationBlob, Output, TaskRecord
from .records.tasks import (
    TASK_FIELDS,
    flat_output,
    pack_error,
    place_of,
    read_claims,
    read_task,
)
from .rq_compat import Shard, shard_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..states import TaskState
    from .connection import Clients
    from .keys import Keys
    from .line import Line
    from .scripts import ScriptRunner, Value

_SHARD_RESULT = b"r"
_RESULTS = {result[0]: result for result in FinishResult}


class TaskStore(StorePart):
    """Gives tasks to agents and takes their outcomes."""

    def __init__(self, clients: Clients, keys: Keys, scripts: ScriptRunner) -> None:
        super().__init__(clients, keys, scripts)
        self._unanswered: dict[str, str] = {}
        self._requests = itertools.count(1)

    def exchange(
        self,
        agent_id: str,
        *,
        finishes: Sequence[Finish] = (),
        queues: Sequence[str] = (),
        limit: int = 0,
        offsets: Mapping[str, int] | None = None,
    ) -> Exchange:
        """Finish tasks and claim up to `limit` others from `queues`, in this order of preference.

        `offsets` are the lengths of the state logs that the agent has, by `NAME@GENERATION`. After
        an error the next exchange of this agent also returns what the failed one had claimed.
        """
        args = self._exchange_args(agent_id, finishes, queues, limit, offsets or {})
        return self._exchanged(
            agent_id, self._scripts.run("exchange", [self._keys.agent(agent_id)], [agent_id, *args])
        )

    def exchange_on(
        self,
        line: Line,
        agent_id: str,
        told: Callable[[Exchange | Exception], None],
        *,
        finishes: Sequence[Finish],
        queues: Sequence[str],
        limit: int,
        offsets: Mapping[str, int],
    ) -> None:
        """Do what `exchange` does, on the caller's line; `told` is called later, once.

        After LineDown, `exchange` repeats the same.
        """
        args = self._exchange_args(agent_id, finishes, queues, limit, offsets)

        def tell(answer: Any) -> None:
            result: Exchange | Exception = answer
            if not isinstance(answer, Exception):
                try:
                    result = self._exchanged(agent_id, answer)
                except Exception as error:
                    result = error
            told(result)

        line.ask(
            self._scripts.command("exchange", [self._keys.agent(agent_id)], [agent_id, *args]), tell
        )

    def _exchange_args(
        self,
        agent_id: str,
        finishes: Sequence[Finish],
        queues: Sequence[str],
        limit: int,
        offsets: Mapping[str, int],
    ) -> list[Value]:
        request = self._unanswered.setdefault(agent_id, self.next_request())
        known_offsets = [value for pair in offsets.items() for value in pair]
        args: list[Value] = [request, limit, len(queues), *queues]
        args += [len(known_offsets) // 2, *known_offsets, len(finishes)]
        args += itertools.chain(*map(_flat_finish, finishes))
        return args

    def _exchanged(self, agent_id: str, answer: Sequence[Any]) -> Exchange:
        standing, results, suspended = answer[:3]
        del self._unanswered[agent_id]
        return Exchange(
            known=standing > 0,
            is_forgotten=standing < 0,
            results=tuple(_RESULTS[letter] for letter in results.decode()),
            claims=read_claims(answer[3:]),
            is_suspended=bool(suspended),
        )

    def next_request(self) -> str:
        """Return what tells one exchange from another, and an earlier one from a later."""
        return f"{next(self._requests):08x}{secrets.token_hex(6)}"

    def claim(self, agent_id: str, job_id: str, *, offset: int = 0) -> Claim | None:
        """Claim the one job that a stock RQ worker has taken; None when it isn't to run."""
        token = secrets.token_hex(12)
        args: list[Value] = [agent_id, token, job_id, offset]
        claims = read_claims(self._scripts.run("claim", [self._keys.agent(agent_id)], args))
        return claims[0] if claims else None

    def hand_back(
        self,
        job_id: str,
        token: str,
        *,
        lost: Mapping[str, str] | None = None,
        is_leaving: bool = False,
    ) -> bool:
        """Put a running task back on its queue; False when it isn't this attempt's any more.

        `lost` is the error of which its process ended. It counts as a loss, and with the third the
        task fails of it; without it nothing counts. With `is_leaving` an event says that its worker
        leaves.
        """
        args: list[Value] = [job_id, token]
        if lost is None:
            args += ["", "", b""]
        else:
            error, _, exc = pack_error(lost)
            args += [lost["message"], error, exc]
        args.append(int(is_leaving))
        return bool(self._scripts.run("hand_back", [self._keys.job(job_id)], args))

    def keep_step(self, job_id: str, token: str, step: int, states: Sequence[bytes]) -> bool:
        """Keep that `step` of a running task's callables have ended, and what they have changed.

        `states` are signed entries since the last one. False when it isn't this attempt's any more.
        """
        args: list[Value] = [job_id, token, step, *states]
        return bool(self._scripts.run("keep_step", [self._keys.job(job_id)], args))

    def log(self, job_id: str, token: str, seq: int, output: Output) -> bool:
        """Store the `seq`-th piece (from 1) of what a running attempt printed; False when stale."""
        args: list[Value] = [job_id, token, seq, *flat_output(output)]
        return bool(self._scripts.run("log", [self._keys.job(job_id)], args))

    def of(self, name: str, generation: int) -> list[TaskRecord]:
        """Return the tasks of a generation in the order of its plan; none for an unknown one."""
        key = self._keys.generation(name, generation)
        total, jobs = self._client.hmget(key, "total", "jobs")
        ids = [f"{jobs.decode()}{index}" for index in range(int(total))] if total else []
        tasks: list[TaskRecord] = []
        for start in range(0, len(ids), PAGE):
            pipe = self._client.pipeline(transaction=False)
            for id_ in ids[start : start + PAGE]:
                pipe.hmget(self._keys.job(id_), TASK_FIELDS)
            for index, values in enumerate(pipe.execute(), start):
                found = {k: v for k, v in zip(TASK_FIELDS, values, strict=True) if v is not None}
                if b"rw" in found:
                    tasks.append(read_task(index, ids[index], found))
        return tasks

    def rows(self, name: str, generation: int, start: int = 0) -> list[list[bytes | None]]:
        """Return TASK_FIELDS of up to PAGE tasks as they are stored, from a place in the plan on.

        For who looks again and again: what hasn't changed need not be read into records.
        """
        key = self._keys.generation(name, generation)
        args: list[int | bytes] = [start, start + PAGE - 1, *TASK_FIELDS]
        rows: list[list[bytes | None]] = self._scripts.run("task_rows", [key], args)
        return rows

    def job(self, job_id: str) -> TaskRecord | None:
        """Return the task of one job, also of one outside the plan (whose index is -1)."""
        found = self._client.hgetall(self._keys.job(job_id))
        last = job_id.rpartition("-")[2]
        index = int(last) if last.isdigit() else -1
        return read_task(index, job_id, found) if b"rw" in found else None

    def place_of(self, job_id: str) -> tuple[str, int] | None:
        """Return the name and number of the generation that a job belongs to, None without one."""
        return place_of(
            self._keys.prefix, job_id, self._client.hget(self._keys.job(job_id), "rw_more")
        )

    def queued(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many jobs wait on each of the queues."""
        pipe = self._client.pipeline(transaction=False)
        for queue in queues:
            pipe.llen(self._keys.queue(queue))
        return dict(zip(queues, pipe.execute(), strict=True))

    def opening(self, name: str, generation: int) -> GenerationBlob | None:
        """Return what it takes to run a generation's first task; None when it isn't stored."""
        pipe = self._client.pipeline(transaction=False)
        pipe.get(self._keys.part(name, generation, "tree"))
        pipe.get(self._keys.part(name, generation, "plan"))
        key = self._keys.generation(name, generation)
        pipe.hmget(key, "makes_current", "submission", "owner")
        tree, plan, (makes_current, submission, owner) = pipe.execute()
        if tree is None or plan is None or makes_current is None:
            return None
        return GenerationBlob(
            tree=tree,
            plan=plan,
            makes_current=makes_current == b"1",
            submission=submission.decode(),
            owner=owner.decode(),
        )

    def states(self, name: str, generation: int, offset: int = 0, last: int = -1) -> list[bytes]:
        """Return the sealed entries of a generation's state log from `offset` to `last`.

        Negative numbers count from the end.
        """
        key = self._keys.part(name, generation, "states")
        entries: list[bytes] = self._client.lrange(key, offset, last)
        return entries


class ShardStore(StorePart):
    """Queues shards of evaluations and reads their outcomes.

    A shard is a job outside the plan, queued by the attempt of an evaluation that runs, claimed and
    finished like any task, and never counted twice: its result is stored with its finish. Results
    stay until the evaluation has ended, whichever attempt of it collects them.
    """

    def add(self, claim: Claim, shards: Sequence[tuple[Shard, bytes]]) -> bool:
        """Queue shards of the evaluation that was claimed, with the payloads signed for them.

        False when that attempt doesn't run any more.
        """
        place = claim.name, claim.generation
        keys = [self._keys.generation(*place), self._keys.job(claim.job_id)]
        args: list[Value] = [*place, claim.job_id, claim.token]
        for shard, data in shards:
            args += [shard.job_id, data]
        return bool(self._scripts.run("add_shards", keys, args))

    def known(self, claim: Claim) -> list[Shard]:
        """Return the shards that earlier attempts of the evaluation have left."""
        fields = self._client.hkeys(self._keys.part(claim.name, claim.generation, "shards"))
        prefix = claim.job_id.rpartition("-")[0]
        found = (shard_of(f"{prefix}-s{field.decode()}") for field in fields)
        return [each for each in found if each and each.evaluation == claim.job_id]

    def result(self, claim: Claim, shard: Shard) -> bytes | None:
        """Return the sealed result of a shard; None when it is open or has none."""
        key = self._keys.part(claim.name, claim.generation, "shards")
        outcome: bytes | None = self._client.hget(key, shard.field)
        return outcome[1:] if outcome is not None and outcome.startswith(_SHARD_RESULT) else None


def _flat_finish(finish: Finish) -> list[Value]:
    """Tell a finish as `exchange.lua` reads it: most have succeeded and printed nothing."""
    head: list[Value] = [finish.job_id, finish.token]
    states: list[Value] = [len(finish.states), *finish.states]
    succeeded = _succeeded(finish.state)
    if succeeded and not finish.output:
        return [*head, *states]
    error, reason, exc = ("", "", b"") if succeeded else pack_error(finish.error)
    output = flat_output(finish.output)
    head += ["", finish.state, int(finish.retryable), error, reason, exc]
    return [*head, *states, len(output) // 2, *output]


def _succeeded(state: TaskState) -> bool:
    if state not in {"succeeded", "failed"}:
        raise ValueError(f"a task finishes as succeeded or failed, not as {state}")
    return state == "succeeded"
