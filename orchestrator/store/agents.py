"""Agents in the store: their lease, their commands, the lead, the sweep, and owners.

All that an agent holds lives under the one lease of its incarnation. An agent id that was swept
never comes back.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from .connection import LONGEST_BLOCK_S
from .part import StorePart, milliseconds
from .records import AgentInfo, AgentRecord, Bell, RenewResult, Sweep
from .records.agents import pack_agent, unpack_agent
from .records.tasks import pack_error
from .scripts import Value, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

LOST_TOO_OFTEN = {
    "type": "WorkerLost",
    "message": "the worker that ran this task was lost 3 times: it may end its worker, for example "
    "by using all memory",
}

EMPTIED_S = 7 * 86400
"""Seconds for which a loss of data is told to who looks for what was lost."""


class AgentStore(StorePart):
    """Keeps agents and the owners of deployments alive, and ends those whose lease is over."""

    def join(self, agent: AgentInfo, lease_ms: int) -> RenewResult:
        """Register an agent or what it says of itself anew; not known when its id is gone."""
        keys = [self._keys.agent(agent.id), self._keys.agents, self._keys.store]
        said = _said(agent)
        known, store = self._scripts.run("join", keys, [agent.id, lease_ms, *said])
        return RenewResult(known=bool(known), store_id=text_of(store))

    def rejoin(self, agent: AgentInfo, lease_ms: int, request: str) -> RenewResult:
        """Register an agent that a store has forgotten, which has ended all its tasks.

        It keeps its id, unless that is gone (then not known). What the store, come back older, says
        that it runs is queued again. Exchanges from before `request` (`next_request`) are late.
        """
        keys = [self._keys.agent(agent.id), self._keys.agents, self._keys.store, self._keys.emptied]
        said = _said(agent)
        args = [agent.id, lease_ms, *said, request, EMPTIED_S]
        known, store, replicas = self._scripts.run("rejoin", keys, args)
        held = tuple(map(text_of, replicas))
        return RenewResult(known=bool(known), store_id=text_of(store), replicas=held)

    def renew(
        self, agent_id: str, lease_ms: int, *, idle_ms: int = 0, beats: int = 0
    ) -> RenewResult:
        """Renew an agent's lease, on the heartbeat's own connection and without any retry.

        While nothing is active the lease is `idle_ms` long, if that is more, until the first claim.
        A store that knows of fewer than `beats` renewals of it came back older, and has forgotten.
        """
        standing, running, is_idle = self._scripts.run(
            "renew",
            [self._keys.agents],
            [agent_id, lease_ms, idle_ms, beats],
            client=self._clients.heartbeat,
        )
        return RenewResult(
            known=standing > 0,
            is_forgotten=standing < 0,
            running=int(running),
            is_idle=bool(is_idle),
        )

    def agree(self, fingerprint: str) -> str:
        """Return the fingerprint of the secret that live workers have; if none lives, this one."""
        keys = [self._keys.secret, self._keys.agents]
        return text_of(self._scripts.run("agree", keys, [fingerprint]))

    def agreed(self) -> str | None:
        """Return the fingerprint of the secret that live workers have; None if none lives."""
        pipe = self._client.pipeline(transaction=True)
        pipe.get(self._keys.secret)
        pipe.zrevrange(self._keys.agents, 0, 0, withscores=True)
        pipe.time()
        found, last, (seconds, microseconds) = pipe.execute()
        is_alive = last and last[0][1] > seconds * 1000 + microseconds // 1000
        return found.decode() if found and is_alive else None

    def leave(self, agent_id: str) -> bool:
        """End an agent: tasks that it still holds go back and count no loss."""
        return bool(self._scripts.run("leave", [self._keys.agent(agent_id)], [agent_id]))

    def all(self) -> list[AgentRecord]:
        """Return every agent that has a lease, newest first."""
        pipe = self._client.pipeline(transaction=True)
        pipe.zrange(self._keys.agents, 0, -1, withscores=True)
        pipe.time()
        leases, time = pipe.execute()
        now = milliseconds(time)
        pipe = self._client.pipeline(transaction=False)
        for agent, _ in leases:
            pipe.hget(self._keys.agent(agent.decode()), "info")
            pipe.scard(self._keys.held(agent.decode()))
        answers = pipe.execute()
        records = [
            AgentRecord(info=unpack_agent(info), lease_ms=max(0, int(end) - now), held=held)
            for (_, end), info, held in zip(leases, answers[::2], answers[1::2], strict=True)
            if info is not None
        ]
        return sorted(records, key=lambda record: -record.info.started_at)

    def wait_bell(self, agent_id: str, cursors: Mapping[str, str], block_ms: int) -> Bell:
        """Wait until tasks are released or a command comes, at most `block_ms` (and 5 s).

        With empty `cursors` it returns at once, rung, with cursors to go on from. It takes nothing
        away: only an exchange does.
        """
        bell, inbox = self._keys.bell, self._keys.inbox(agent_id)
        client: Any = self._clients.blocking
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
        args = [agent_id, json.dumps(message)]
        return bool(self._scripts.run("command", [self._keys.inbox(agent_id)], args))

    def lead(self, agent_id: str, lease_ms: int) -> bool:
        """Take or keep the controller's lead; False when another agent has it."""
        return bool(self._scripts.run("lead", [self._keys.controller], [agent_id, lease_ms]))

    def sweep(self, lease_ms: int, agent_id: str = "") -> Sweep:
        """End every agent and owner whose lease is over.

        When the next sweep is due is told without the lease of the agent `agent_id`, which calls.

        Any agent may call this, each second; calls within 0.2 s of another do nothing. Had nobody
        swept or renewed for 3 s, all leases are given that time back, up to a whole lease from now.
        """
        error, _, exc = pack_error(LOST_TOO_OFTEN)
        keys = [self._keys.sweep, self._keys.agents, self._keys.owners]
        answer = self._scripts.run("sweep", keys, [lease_ms, error, exc, agent_id])
        lost, requeued, failed, stopped, released, due, idle = (
            [text_of(each) for each in part] for part in answer
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

    def own(self, owner: str, lease_ms: int) -> None:
        """Take or renew the lease of a program on the deployments that it owns."""
        self._scripts.run("own", [self._keys.owners], [owner, lease_ms])

    def disown(self, owner: str) -> tuple[str, ...]:
        """Stop all that a program owns; return the ids (`NAME@GENERATION`) of what stops."""
        stopped = self._scripts.run("disown", [self._keys.owners], [owner])
        return tuple(map(text_of, stopped))

    def store_id(self) -> str | None:
        """Return the random id of this store; None before the first agent has joined."""
        found = self._client.get(self._keys.store)
        return found.decode() if found else None

    def emptied_at(self) -> float | None:
        """Return when agents found that Redis had lost its data (Unix seconds), within a week."""
        found = self._client.get(self._keys.emptied)
        return int(found) / 1000 if found else None

    def now(self) -> float:
        """Return the time of Redis in Unix seconds."""
        seconds, microseconds = self._client.time()
        return float(seconds + microseconds / 1e6)


def _said(agent: AgentInfo) -> list[Value]:
    keeps = int(agent.keeps_workspaces)
    return [agent.worker, pack_agent(agent), secrets.token_hex(8), agent.state, keeps]


def _id(entries: Any) -> str:
    return entries[0][0].decode() if entries else "0-0"
