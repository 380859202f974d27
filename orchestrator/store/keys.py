"""The catalogue of every Redis key: its name, type, meaning, and how long it stays.

`prelude.lua` opens with the same catalogue for the scripts, which make the names in the same way.
Everything of one deployment shares the hash tag `{NAME}`. Every key has a time to live or is in
`LASTING` here; a key that lasts only while its generation is active gets its time when that ends.
RQ's keys stand under RQ's own prefix.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

STAGED_S: Final = 600
"""Seconds that an unfinished submission is kept."""


class Lasts(Enum):
    """Why a key may be without a time to live."""

    ALWAYS = "one a store, or removed by the step that ends its use"
    WHILE_ACTIVE = "until its generation is over, and is no more among those that are kept"


@dataclass(frozen=True, slots=True)
class Keys:
    """Makes the names of keys; `rq` is RQ's own prefix (`RQ_KEY_PREFIX`)."""

    prefix: str = "rootward"
    rq: str = field(default_factory=lambda: os.environ.get("RQ_KEY_PREFIX", "rq"))

    @property
    def store(self) -> str:
        """String: random id of this store; another one means that the data was lost."""
        return f"{self.prefix}:store"

    @property
    def emptied(self) -> str:
        """String with time to live: when agents found that the store had lost its data (ms)."""
        return f"{self.prefix}:emptied"

    @property
    def deployments(self) -> str:
        """Sorted set: deployment names by the time of their newest generation (ms)."""
        return f"{self.prefix}:deployments"

    @property
    def active(self) -> str:
        """Set: `NAME@GENERATION` of all that progress, serve or stop."""
        return f"{self.prefix}:active"

    @property
    def agents(self) -> str:
        """Sorted set: agent ids by the end of their lease (ms)."""
        return f"{self.prefix}:agents"

    @property
    def owners(self) -> str:
        """Sorted set: ids of programs that own deployments by the end of their lease (ms)."""
        return f"{self.prefix}:owners"

    @property
    def controller(self) -> str:
        """String with time to live: the agent that leads."""
        return f"{self.prefix}:controller"

    @property
    def secret(self) -> str:
        """String: a fingerprint of the secret that the live workers have."""
        return f"{self.prefix}:secret"

    @property
    def sweep(self) -> str:
        """Hash: when anyone was heard, the silence to expect, last sweep, check, tidying (ms)."""
        return f"{self.prefix}:sweep"

    @property
    def bell(self) -> str:
        """Stream: an entry whenever tasks were released."""
        return f"{self.prefix}:bell"

    @property
    def changes(self) -> str:
        """Stream: changes of the registry of endpoints."""
        return f"{self.prefix}:changes"

    @property
    def loads(self) -> str:
        """Hash with time to live: calls under way and held, by who has seen them."""
        return f"{self.prefix}:loads"

    def bundle(self, digest: str) -> str:
        """String: signed code, stored once for all generations that use it."""
        return f"{self.prefix}:bundle:{digest}"

    def bundle_users(self, digest: str) -> str:
        """Sorted set: `NAME@GENERATION` by the time when it goes (ms), inf while it is active."""
        return f"{self.bundle(digest)}:users"

    def agent(self, agent_id: str) -> str:
        """Hash: what an agent says of itself, and its last claims; a mark for a day once gone."""
        return f"{self.prefix}:agent:{agent_id}"

    def held(self, agent_id: str) -> str:
        """Set: job ids, and `NAME@GENERATION/REPLICA`, that an agent holds under its lease."""
        return f"{self.agent(agent_id)}:held"

    def inbox(self, agent_id: str) -> str:
        """Stream: commands to an agent."""
        return f"{self.agent(agent_id)}:inbox"

    def name(self, name: str) -> str:
        """Hash: reserved, latest, current and progressing generation, number of active ones."""
        return f"{self.prefix}:{{{name}}}"

    def reservation(self, name: str, submission_id: str) -> str:
        """String with time to live: the generation number that a submission was given."""
        return f"{self.name(name)}:reserved:{submission_id}"

    def events(self, name: str) -> str:
        """Stream: the history of a deployment."""
        return f"{self.name(name)}:events"

    def generation(self, name: str, generation: int) -> str:
        """Hash: state, counters and options of a generation."""
        return f"{self.name(name)}:{generation}"

    def part(self, name: str, generation: int, part: str) -> str:
        """Key of one of GENERATION_PARTS of a generation."""
        return f"{self.generation(name, generation)}:{part}"

    def staged(self, name: str, generation: int, number: int) -> str:
        """String with time to live: a piece of the tasks of a submission that isn't sealed yet."""
        return f"{self.generation(name, generation)}:staged:{number}"

    def job(self, job_id: str) -> str:
        """Hash: a task's record, RQ's fields and ours (`rw_...`)."""
        return f"{self.rq}:job:{job_id}"

    def queue(self, queue: str) -> str:
        """List: ids of released jobs."""
        return f"{self.rq}:queue:{queue}"

    def lasting(self, key: str) -> Lasts | None:
        """Tell why this key may have no time to live; None when it must have one."""
        for pattern, why in _LASTING:
            if re.fullmatch(pattern.format(p=re.escape(self.prefix), rq=re.escape(self.rq)), key):
                return why
        return None


GENERATION_PARTS: Final = {
    "plan": "string: the signed plan",
    "tree": "string: the signed tree",
    "identity": "string: the signed record of what its modules are made of",
    "states": "list: signed entries of the state log",
    "logs": "stream: output of tasks and replicas",
    "replicas": "hash: replica id to record",
    "services": "hash: path to wanted replicas",
    "ready": "hash: path to ready replicas",
    "repairs": "hash: open job outside the plan to path",
    "course": "stream: each state that it came to",
    "figures": "hash: caller to what it has counted of a canary's calls",
    "shards": "hash: outcomes of the shards of evaluations that run",
    "scaling": "hash: what is asked for by hand, what sleeps, and why, by path",
}

_LASTING: Final = (
    (r"{p}:(store|secret|deployments|active|agents|owners|sweep|bell|changes)", Lasts.ALWAYS),
    # Ended by the sweep that ends the agent.
    (r"{p}:agent:[^:]+(:held|:inbox)?", Lasts.ALWAYS),
    (r"{p}:\{{.+\}}(:events|:\d+(:[a-z]+)?)?", Lasts.WHILE_ACTIVE),
    # As long as one generation that uses it.
    (r"{p}:bundle:[0-9a-f]+(:users)?", Lasts.WHILE_ACTIVE),
    (r"{rq}:job:{p}-.+", Lasts.WHILE_ACTIVE),
    # RQ's own lists and registries: entries go, and an empty key is no key.
    (r"{rq}:queues", Lasts.ALWAYS),
    (r"{rq}:(queue|wip|finished|failed|deferred|canceled|scheduled):{p}-.+", Lasts.ALWAYS),
    (r"{rq}:workers(:.+)?", Lasts.ALWAYS),
    # Ended with the attempt that they show, by its worker or by the sweep.
    (r"{rq}:executions?:{p}-.+", Lasts.ALWAYS),
    (r"{rq}:worker:.+:executions", Lasts.ALWAYS),
)
