"""What a refusal of Redis means to a person: what is wrong with the server or the rights there.

Each ordinary condition of a server has one sentence that says what to do. None of them is a fault
of ours; an error of one of our own scripts is, and has no sentence here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

from .address import ENCODE

NO_REDIS: Final = 3
"""Exit code: this server, or this user there, can't be used."""
FAILED: Final = 1
"""Exit code: the server refuses at the moment."""

_RIGHTS: Final = "give it the rights that docs/production.md lists, or another user in REDIS_URL"
_CLUSTER: Final = (
    NO_REDIS,
    "is a Redis Cluster, which isn't supported: use a single server, or Sentinel for failover",
)
_BY_CODE: Final = {
    "NOAUTH": (NO_REDIS, "asks for a password: put it into REDIS_URL (redis://:PASSWORD@HOST)"),
    "WRONGPASS": (NO_REDIS, f"refuses the user or password in REDIS_URL; {ENCODE}"),
    "NOPERM": (NO_REDIS, f"forbids this user something that is needed ({{why}}): {_RIGHTS}"),
    "LOADING": (NO_REDIS, "is still loading its data: try again in a moment"),
    "MASTERDOWN": (NO_REDIS, "is a replica that has lost its primary: give the primary's address"),
    "READONLY": (
        NO_REDIS,
        "is a read-only replica: give the address of the primary, or of Sentinel",
    ),
    "OOM": (FAILED, "is full: raise its maxmemory, or delete what isn't needed"),
    "MISCONF": (
        FAILED,
        "can't save its data and refuses to write: look for a full disk in the server's log",
    ),
    "NOREPLICAS": (FAILED, "has too few replicas (min-replicas-to-write) and refuses to write"),
    "BUSY": (FAILED, "is busy with a script of some program: try again in a moment"),
    "MOVED": _CLUSTER,
    "ASK": _CLUSTER,
    "CLUSTERDOWN": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
}
# Where redis-py has an error of its own it leaves the server's code out.
_BY_KIND: Final = {
    "NoPermissionError": "NOPERM",
    "AuthenticationWrongNumberOfArgsError": "WRONGPASS",
    "BusyLoadingError": "LOADING",
    "MasterDownError": "MASTERDOWN",
    "ReadOnlyError": "READONLY",
    "OutOfMemoryError": "OOM",
    "MovedError": "MOVED",
    "AskError": "ASK",
    "ClusterDownError": "CLUSTERDOWN",
    "ClusterCrossSlotError": "CROSSSLOT",
}
# In what the server says, where no code tells; also in errors from within scripts.
_BY_WORDS: Final = (
    ("max number of clients", (NO_REDIS, "takes no more clients: raise its maxclients")),
    ("invalid username-password", _BY_CODE["WRONGPASS"]),
    ("Authentication required", _BY_CODE["NOAUTH"]),
    ("called without any password configured", _BY_CODE["WRONGPASS"]),
    ("Error setting client name", _BY_CODE["NOPERM"]),
    ("can't run this command", _BY_CODE["NOPERM"]),
    ("has no permissions", _BY_CODE["NOPERM"]),
    ("No permissions", _BY_CODE["NOPERM"]),
    ("OOM command not allowed", _BY_CODE["OOM"]),
    ("against a read only replica", _BY_CODE["READONLY"]),
    ("MISCONF", _BY_CODE["MISCONF"]),
    ("cluster support disabled", _CLUSTER),
    (
        "unknown command",
        (NO_REDIS, "doesn't know a command that is needed ({why}): was it renamed, or is it old?"),
    ),
    ("DB index is out of range", (NO_REDIS, "has no database of that number")),
    ("SELECT is not allowed", _CLUSTER),
    ("protected mode", (NO_REDIS, "is in protected mode: give it a password, or bind it here")),
)
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a person is told, and the exit code that it stands for."""

    sentence: str
    code: int


def refusal(error: BaseException, address: str = "") -> Refusal | None:
    """Return what a refusal of Redis means, None for what isn't one.

    `address` is where it was asked, as messages may show it.
    """
    # Redis is imported already if it is where the error comes from.
    kinds = sys.modules.get("redis.exceptions")
    if kinds is None or not isinstance(error, kinds.RedisError):
        return None
    said = " ".join(str(error).split())[:_LONGEST]
    if (found := _found(error, said)) is None:
        is_script = "user_script" in said or "Error compiling script" in said
        if not isinstance(error, kinds.ResponseError) or is_script:
            return None
        found = FAILED, "refuses a command ({why})"
    code, words = found
    where = f"Redis at {address}" if address else "Redis"
    return Refusal(sentence=f"{where} {words.replace('{why}', said)}", code=code)


def _found(error: BaseException, said: str) -> tuple[int, str] | None:
    for kind in type(error).__mro__:
        if (code := _BY_KIND.get(kind.__name__)) is not None:
            return _BY_CODE[code]
    if (found := _BY_CODE.get(said.partition(" ")[0])) is not None:
        return found
    return next((told for words, told in _BY_WORDS if words in said), None)
