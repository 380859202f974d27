"""The part of the store that agents live by: their lease, their tasks, their commands, the sweep.

All that an agent holds lives under the one lease of its incarnation, and each attempt of a task
has a token of its own that must be equal for a write to count. `exchange` is the whole traffic of a
busy agent: it finishes tasks and claims others in one round trip. An agent id that was swept never
comes back.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .connection import LONGEST_BLOCK_S, Clients
from .record_codec import flat_output, pack_agent, pack_error, read_claims
from .records import (
    AgentInfo,
    Bell,
    Claim,
    Exchange,
    Finish,
    FinishResult,
    Output,
    RenewResult,
    Sweep,
)

if TYPE_CHECKING:
    from ..states import TaskState
    from .keys import Keys
    from .line import Line
    from .scripts import Scripts, Value

LOST_TOO_OFTEN = {
    "type": "WorkerLost",
    "message": "the worker that ran this task was lost 3 times: it may end its worker, for example "
    "by using all memory",
}

_RESULTS = {result[0]: result for result in FinishResult}


class Leases:
    """Keeps agents alive and gives them tasks."""

    clients: Clients
    keys: Keys
    scripts: Scripts
    _unanswered: dict[str, str]
    _requests: Iterator[int]

    def join(self, agent: AgentInfo, lease_ms: int) -> RenewResult:
        """Register an agent or what it says of itself anew; not known when its id is gone."""
        known, store = self.scripts.join(
            agent.id, lease_ms, agent.worker, pack_agent(agent), secrets.token_hex(8), agent.state
        )
        return RenewResult(known=known, store_id=store)

    def renew(self, agent_id: str, lease_ms: int, *, idle_ms: int = 0) -> RenewResult:
        """Renew an agent's lease, on the heartbeat's own connection and without any retry.

        While nothing is active the lease is `idle_ms` long, if that is more, until the first claim.
        """
        known, store, running, is_idle = self.scripts.renew(
            agent_id, lease_ms, idle_ms, self.clients.heartbeat
        )
        return RenewResult(known=known, store_id=store, running=running, is_idle=is_idle)

    def agree(self, fingerprint: str) -> str:
        """Return the fingerprint of the secret that live workers have; if none lives, this one."""
        return self.scripts.agree(fingerprint)

    def leave(self, agent_id: str) -> bool:
        """End an agent: tasks that it still holds go back and count no loss."""
        return self.scripts.leave(agent_id)

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
        return self._exchanged(agent_id, self.scripts.exchange(agent_id, args))

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

        line.ask(self.scripts.exchange_command(agent_id, args), tell)

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
        known, results, suspended = answer[:3]
        del self._unanswered[agent_id]
        return Exchange(
            known=bool(known),
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
        claims = read_claims(self.scripts.claim(agent_id, token, job_id, offset))
        return claims[0] if claims else None

    def hand_back(self, job_id: str, token: str, *, lost: str | None = None) -> bool:
        """Put a running task back on its queue; False when it isn't this attempt's any more.

        `lost` says how its process ended, which counts as a loss; without it nothing counts.
        """
        return self.scripts.hand_back(job_id, token, lost or "")

    def log(self, job_id: str, token: str, seq: int, output: Output) -> bool:
        """Store the `seq`-th piece (from 1) of what a running attempt printed; False when stale."""
        return self.scripts.log(job_id, token, seq, flat_output(output))

    def wait_bell(self, agent_id: str, cursors: Mapping[str, str], block_ms: int) -> Bell:
        """Wait until tasks are released or a command comes, at most `block_ms` (and 5 s).

        With empty `cursors` it returns at once, rung, with cursors to go on from. It takes nothing
        away: only an exchange does.
        """
        bell, inbox = self.keys.bell, self.keys.inbox(agent_id)
        client: Any = self.clients.blocking
        if bell not in cursors:
            last = client.xrevrange(bell, count=1)
            return Bell(cursors={bell: _id(last), inbox: "0-0", **cursors}, rung=True)
        block = max(1, min(block_ms, int(LONGEST_BLOCK_S * 1000)))
        later, commands, rung = dict(cursors), [], False
        for key, entries in client.xread(dict(cursors), block=block) or ():
            later[key.decode()] = entries[-1][0].decode()
            if key.decode() == inbox:
                commands += [json.loads(fields[b"c"]) for _, fields in entries]
            else:
                rung = True
        return Bell(cursors=later, rung=rung, commands=tuple(commands))

    def command(self, agent_id: str, message: Mapping[str, Any]) -> bool:
        """Send a command to an agent; False when there is no such agent."""
        return self.scripts.command(agent_id, json.dumps(message))

    def lead(self, agent_id: str, lease_ms: int) -> bool:
        """Take or keep the controller's lead; False when another agent has it."""
        return self.scripts.lead(agent_id, lease_ms)

    def sweep(self, lease_ms: int, agent_id: str = "") -> Sweep:
        """End every agent and owner whose lease is over.

        When the next sweep is due is told without the lease of the agent `agent_id`, which calls.

        Any agent may call this, each second; calls within 0.2 s of another do nothing. Had nobody
        swept or renewed for 3 s, all leases are given that time back, up to a whole lease from now.
        """
        error, _, exc = pack_error(LOST_TOO_OFTEN)
        lost, requeued, failed, stopped, released, due, idle = self.scripts.sweep(
            lease_ms, error, exc, agent_id
        )
        return Sweep(
            lost_agents=tuple(lost),
            requeued=tuple(requeued),
            failed=tuple(failed),
            stopped=tuple(stopped),
            released=tuple(released),
            due_ms=int(due[0]) if due else None,
            is_idle=bool(idle),
        )


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


def _id(entries: Any) -> str:
    return entries[0][0].decode() if entries else "0-0"
