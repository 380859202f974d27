"""One typed call for each Lua script.

The scripts stand in `lua/`, each behind what it shares with others (`SHARED`), and are known to the
server by their digest; a server that has forgotten one is given it again. Each is one step that may
be repeated: what a lost answer makes redis-py send twice has its effect once. What arguments and
answers mean is the store's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from ..errors import IncompleteSubmission

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script

    from .keys import Keys

Value = str | bytes | int | float
Part = tuple[str, int]
"""A deployment's name and generation."""

SHARED: Final[Mapping[str, tuple[str, ...]]] = {
    "create": ("tasks", "extend_leases"),
    "exchange": ("tasks", "claiming"),
    "claim": ("tasks", "claiming"),
    "hand_back": ("tasks",),
    "cancel": ("tasks",),
    "fail": ("tasks",),
    "stop": ("tasks",),
    "resume": ("tasks",),
    "put_replica": ("tasks", "replicas"),
    "drop_replica": ("tasks", "replicas"),
    "leave": ("tasks", "replicas"),
    "scale": ("tasks", "replicas"),
    "repair": ("tasks", "replicas"),
    "join": ("extend_leases",),
    "renew": ("extend_leases",),
    "own": ("extend_leases",),
    "sweep": ("tasks", "replicas", "owners", "extend_leases"),
    "disown": ("tasks", "owners"),
}
"""What stands between the records and a script."""

_RARE = ("failures", "generations")
_RARE_OF = {
    "exchange": (*_RARE, "resume_tasks", "quarantine"),
    "claim": (*_RARE, "resume_tasks", "quarantine"),
    "resume": (*_RARE, "resume_tasks"),
}
"""What follows `tasks` as the body of a function, which is called when a step needs any of it."""


@cache
def source(name: str) -> str:
    """Return the whole text of a script."""
    parts = ("prelude", "records", *SHARED.get(name, ()), name)
    texts = []
    for part in parts:
        texts.append(_text_of(part))
        if part == "tasks":
            rare = map(_text_of, _RARE_OF.get(name, _RARE))
            texts += ["make_rare = function()", *rare, "end"]
        if part != name:
            # What a function finds in one around it costs nothing; beside it, it is searched for.
            texts.append("return (function()")
    return "\n".join([*texts, "end)() " * (len(parts) - 1)])


def _text_of(part: str) -> str:
    return (resources.files(__package__) / "lua" / f"{part}.lua").read_text("utf-8")


class Scripts:
    """The scripts on one client; `run` sends keys and arguments, the methods say which."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._known: dict[str, Script] = {}

    def run(
        self, name: str, keys: Sequence[str], args: Sequence[Value], *, client: Redis | None = None
    ) -> Any:
        """Run a script; raises IncompleteSubmission, or redis-py's errors."""
        from redis.exceptions import NoScriptError, ResponseError

        script, where = self._script(name), client or self._client
        words = [*keys, self._keys.prefix, self._keys.rq, *args]
        try:
            try:
                return where.evalsha(script.sha, len(keys), *words)
            except NoScriptError:
                # The text goes with the call: loaded before it, it could be forgotten again.
                return where.eval(source(name), len(keys), *words)
        except ResponseError as cause:
            if str(cause).startswith("INCOMPLETE"):
                raise IncompleteSubmission(
                    f"the submission wasn't stored whole ({cause}): submit it again"
                ) from cause
            raise

    def _script(self, name: str) -> Script:
        script = self._known.get(name)
        if script is None:
            script = self._known[name] = self._client.register_script(source(name))
        return script

    def reserve(
        self, name: str, submission_id: str, keep_s: int, fingerprints: Sequence[str]
    ) -> int:
        """Return the generation number of a submission; 0 when workers have another secret."""
        keys = [self._keys.name(name), self._keys.reservation(name, submission_id)]
        keys += [self._keys.secret, self._keys.agents]
        return int(self.run("reserve", keys, [keep_s, *fingerprints]))

    def stage(self, part: Part, number: int, piece: bytes, keep_s: int) -> None:
        """Keep a piece of a submission that isn't sealed yet."""
        self.run("stage", [self._keys.staged(*part, number)], [keep_s, piece])

    def create(self, part: Part, staged: int, args: Sequence[Value]) -> bool:
        """Seal a submission with its staged pieces; False when it was sealed before."""
        keys = [self._generation(part), *(self._keys.staged(*part, n) for n in range(staged))]
        return bool(self.run("create", keys, [*part, *args]))

    def exchange_command(self, agent_id: str, args: Sequence[Value]) -> list[Value]:
        """Return the command of an exchange, for a server that knows the script."""
        sha, keys = self._script("exchange").sha, self._keys
        return ["EVALSHA", sha, 1, keys.agent(agent_id), keys.prefix, keys.rq, agent_id, *args]

    def exchange(self, agent_id: str, args: Sequence[Value]) -> list[Any]:
        """Return known, results (a letter each), whether all is suspended, and the claims."""
        answer: list[Any] = self.run("exchange", [self._keys.agent(agent_id)], [agent_id, *args])
        return answer

    def claim(self, agent_id: str, token: str, job_id: str, offset: int) -> list[Any]:
        """Return the claim of one job, or none."""
        args: list[Value] = [agent_id, token, job_id, offset]
        answer: list[Any] = self.run("claim", [self._keys.agent(agent_id)], args)
        return answer

    def hand_back(self, job_id: str, token: str, lost: str) -> bool:
        """Put a running task back on its queue; False when it isn't that attempt."""
        args: list[Value] = [job_id, token, lost]
        return bool(self.run("hand_back", [self._keys.job(job_id)], args))

    def log(self, job_id: str, token: str, seq: int, output: Sequence[Value]) -> bool:
        """Store output of a running attempt; False when it isn't that attempt."""
        return bool(self.run("log", [self._keys.job(job_id)], [job_id, token, seq, *output]))

    def replica_log(
        self, part: Part, path: str, replica: str, request: str, output: Sequence[Value]
    ) -> bool:
        """Store output of a replica; False when the generation is gone."""
        args: list[Value] = [path, replica, request, *output]
        return bool(self.run("replica_log", [self._generation(part)], args))

    def join(
        self, agent_id: str, lease_ms: int, worker: str, info: bytes, store_id: str, state: str
    ) -> tuple[bool, str]:
        """Register an agent; return whether it may be, and the store's id."""
        keys = [self._keys.agent(agent_id), self._keys.agents, self._keys.store]
        args: list[Value] = [agent_id, lease_ms, worker, info, store_id, state]
        known, store = self.run("join", keys, args)
        return bool(known), _text(store)

    def renew(
        self, agent_id: str, lease_ms: int, idle_ms: int, client: Redis
    ) -> tuple[bool, str, int, bool]:
        """Renew an agent's lease; return whether it had one, the store's id, what it runs, idle."""
        keys = [self._keys.agents, self._keys.store]
        args: list[Value] = [agent_id, lease_ms, idle_ms]
        known, store, running, is_idle = self.run("renew", keys, args, client=client)
        return bool(known), _text(store), int(running), bool(is_idle)

    def agree(self, fingerprint: str) -> str:
        """Return the fingerprint of the secret that workers have here: this one, if none live."""
        return _text(self.run("agree", [self._keys.secret, self._keys.agents], [fingerprint]))

    def leave(self, agent_id: str) -> bool:
        """End an agent that goes by itself."""
        return bool(self.run("leave", [self._keys.agent(agent_id)], [agent_id]))

    def command(self, agent_id: str, message: str) -> bool:
        """Send a command; False when there is no such agent."""
        return bool(self.run("command", [self._keys.inbox(agent_id)], [agent_id, message]))

    def lead(self, agent_id: str, lease_ms: int) -> bool:
        """Take or keep the lead."""
        return bool(self.run("lead", [self._keys.controller], [agent_id, lease_ms]))

    def sweep(self, lease_ms: int, error: str, exc: bytes, agent: str) -> list[list[str]]:
        """Return agents lost, jobs requeued, failed, stopped generations, released, due, idle."""
        keys = [self._keys.sweep, self._keys.agents, self._keys.owners]
        answer = self.run("sweep", keys, [lease_ms, error, exc, agent])
        return [[_text(each) for each in part] for part in answer]

    def put_replica(self, part: Part, args: Sequence[Value]) -> bool:
        """Register a replica; False when its agent or generation doesn't allow it."""
        return bool(self.run("put_replica", [self._generation(part)], [*part, *args]))

    def drop_replica(self, part: Part, replica: str, state: str, reason: str) -> bool:
        """Take a replica out; False when it wasn't there."""
        args: list[Value] = [*part, replica, state, reason]
        return bool(self.run("drop_replica", [self._generation(part)], args))

    def cancel(self, part: Part, reason: str) -> bool:
        """Cancel a generation that progresses."""
        return bool(self.run("cancel", [self._generation(part)], [*part, reason]))

    def fail(self, part: Part, reason: str) -> bool:
        """Fail a generation that progresses."""
        return bool(self.run("fail", [self._generation(part)], [*part, reason]))

    def stop(self, name: str, generation: int | None, reason: str) -> list[int]:
        """Stop one or all generations; return those that now stop."""
        chosen = "" if generation is None else generation
        return [int(n) for n in self.run("stop", [self._keys.name(name)], [name, chosen, reason])]

    def resume(self, part: Part) -> bool:
        """Give what hasn't succeeded another chance."""
        return bool(self.run("resume", [self._generation(part)], list(part)))

    def scale(self, part: Part, path: str, wanted: int) -> bool:
        """Change the wanted replicas of a service; False when there is no such service."""
        return bool(self.run("scale", [self._generation(part)], [*part, path, wanted]))

    def repair(self, part: Part, job_id: str, args: Sequence[Value]) -> bool:
        """Queue a deploy outside the plan; False when none is needed."""
        keys = [self._generation(part), self._keys.job(job_id)]
        return bool(self.run("repair", keys, [*part, job_id, *args]))

    def own(self, owner: str, lease_ms: int) -> None:
        """Take or renew a program's lease."""
        self.run("own", [self._keys.owners], [owner, lease_ms])

    def disown(self, owner: str) -> list[str]:
        """End a program's lease; return the generations that stop with it."""
        return [_text(id_) for id_ in self.run("disown", [self._keys.owners], [owner])]

    def _generation(self, part: Part) -> str:
        return self._keys.generation(*part)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
