"""Running Lua scripts: their whole texts, and one way to call each.

The scripts stand in `lua/`, each behind what it shares with others (`SHARED`), and are known to the
server by their digest; a server that has forgotten one is given it again. Each is one step that may
be repeated: what a lost answer makes redis-py send twice has its effect once. What arguments and
answers mean is known by the part of the store that calls.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from ..errors import IncompleteSubmission, PlanError

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
    "log": ("tasks",),
    "add_shards": ("tasks",),
    "keep_step": ("tasks",),
    "cancel": ("tasks",),
    "fail": ("tasks",),
    "stop": ("tasks",),
    "switch": ("tasks",),
    "judge": ("tasks",),
    "promote": ("tasks",),
    "drop_canary": ("tasks",),
    "resume": ("tasks",),
    "put_replica": ("tasks", "replicas"),
    "drop_replica": ("tasks", "replicas"),
    "mend": ("tasks", "replicas"),
    "leave": ("tasks", "replicas"),
    "scale": ("tasks", "replicas"),
    "autoscale": ("tasks", "replicas"),
    "wake": ("tasks", "replicas"),
    "repair": ("tasks", "replicas"),
    "join": ("extend_leases",),
    "rejoin": ("tasks", "extend_leases"),
    "renew": ("extend_leases",),
    "own": ("extend_leases",),
    "sweep": ("tasks", "replicas", "owners", "extend_leases"),
    "disown": ("tasks", "owners"),
}
"""What stands between the records and a script."""

_LINE: Final = re.compile(r"user_script:(\d+)")
_RARE = ("failures", "generations")
_RARE_OF = {
    "exchange": (*_RARE, "resume_tasks", "quarantine"),
    "claim": (*_RARE, "resume_tasks", "quarantine"),
    "resume": (*_RARE, "resume_tasks"),
}
"""What follows `tasks` as the body of a function, which is called when a step needs any of it."""


def names() -> list[str]:
    """Return the names of all scripts, without what they share."""
    shared = {"prelude", "records"}.union(*SHARED.values(), *_RARE_OF.values())
    files = (resources.files(__package__) / "lua").iterdir()
    return sorted({file.name.removesuffix(".lua") for file in files} - shared)


@cache
def source(name: str) -> str:
    """Return the whole text of a script."""
    return "\n".join(text for _, text in _pieces(name))


def place_in(name: str, line: int) -> str:
    """Return file and line (`tasks.lua:66`) of a line of a script's whole text, from 1."""
    for part, text in _pieces(name):
        lines = text.count("\n") + 1
        if line <= lines:
            return f"{part or name}.lua:{line}"
        line -= lines
    raise ValueError(f"{name} has no such line")


def _pieces(name: str) -> list[tuple[str, str]]:
    """Return what a script is made of: names of files with their texts, and what joins them."""
    parts = ("prelude", "records", *SHARED.get(name, ()), name)
    pieces = []
    for part in parts:
        pieces.append((part, _text_of(part)))
        if part == "tasks":
            rare = [(each, _text_of(each)) for each in _RARE_OF.get(name, _RARE)]
            pieces += [("", "make_rare = function()"), *rare, ("", "end")]
        if part != name:
            # What a function finds in one around it costs nothing; beside it, it is searched for.
            pieces.append(("", "return (function()"))
    return [*pieces, ("", "end)() " * (len(parts) - 1))]


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
        """Run a script; raises IncompleteSubmission, PlanError, or redis-py's errors."""
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
            if str(cause).startswith("REFUSED "):
                raise PlanError(str(cause).removeprefix("REFUSED ")) from cause
            if (found := _LINE.search(str(cause))) is not None:
                raise type(cause)(f"{cause} ({place_in(name, int(found[1]))})") from cause
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
