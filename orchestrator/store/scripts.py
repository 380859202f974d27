"""Running Lua scripts: their whole texts, and one way to call each.

The scripts stand in `lua/`, each behind what it shares with others (`SHARED`), and are known to the
server by their digest; a server that has forgotten one is given it again. Each is one step that may
be repeated: what a lost answer makes redis-py send twice has its effect once. What arguments and
answers mean is known by the part of the store that calls.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from ..errors import IncompleteSubmission

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


class ScriptRunner:
    """The scripts on one client, each sent by its digest."""

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

    def command(self, name: str, keys: Sequence[str], args: Sequence[Value]) -> list[Value]:
        """Return the command that runs a script, for a server that knows it."""
        sha = self._script(name).sha
        return ["EVALSHA", sha, len(keys), *keys, self._keys.prefix, self._keys.rq, *args]


def text_of(value: bytes | str) -> str:
    """Return a word of a script's answer as text."""
    return value.decode() if isinstance(value, bytes) else value
