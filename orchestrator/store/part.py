"""What the parts of the store have in common: the clients, the names of keys, the scripts.

A read of several keys is one round trip, and a transaction where its parts must fit together.
Waiting reads are on the blocking client and wait at most five seconds, so that who follows a stream
notices when it should stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .connection import LONGEST_BLOCK_S

if TYPE_CHECKING:
    from .connection import Clients
    from .keys import Keys
    from .scripts import ScriptRunner

PAGE = 1000
"""Entries of a stream, or tasks, that one round trip brings."""


class StorePart:
    """One part of the store."""

    def __init__(self, clients: Clients, keys: Keys, scripts: ScriptRunner) -> None:
        self._clients = clients
        self._keys = keys
        self._scripts = scripts

    @property
    def _client(self) -> Any:
        # The types that redis-py gives its answers fit several protocols at once, and so none.
        return self._clients.scripts

    def _entries(self, key: str, after_id: str, block_ms: int) -> list[tuple[bytes, Any]]:
        """Return a page of a stream after `after_id`; with `block_ms`, wait for the first entry."""
        client: Any = self._clients.blocking if block_ms else self._client
        block = min(block_ms, int(LONGEST_BLOCK_S * 1000)) or None
        found = client.xread({key: after_id}, count=PAGE, block=block)
        return found[0][1] if found else []


def milliseconds(time: tuple[int, int]) -> int:
    """Return the answer to `TIME` in milliseconds."""
    seconds, microseconds = time
    return seconds * 1000 + microseconds // 1000
