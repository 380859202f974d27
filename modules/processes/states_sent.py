"""How far one replica has followed the state log of its generation.

Entries are sent in the order of the log, each once, and acknowledged in the order in which they
were sent. Who waits learns that all that had been sent by then is written into the replica's tree,
or that its process has ended, which leaves nothing to wait for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .child import Child


class StatesSent:
    """Sends a log to one child, which has begun with its first `seen` entries."""

    def __init__(self, child: Child, seen: int) -> None:
        """Send nothing yet."""
        self._child = child
        self._seen = seen
        self._messages = self._answers = 0
        self._has_ended = False
        self._changed = asyncio.Event()

    def send(self, log: Sequence[bytes]) -> None:
        """Send what the child hasn't seen of `log`."""
        if len(log) > self._seen and not self._has_ended:
            self._messages += 1
            self._child.send({"op": "states", "states": list(log[self._seen :])})
            self._seen = len(log)

    def applied(self) -> None:
        """Count an answer of the child: it has applied one more message."""
        self._answers += 1
        self._changed.set()

    def end(self) -> None:
        """Let nobody wait any longer: the process has ended."""
        self._has_ended = True
        self._changed.set()

    async def until_applied(self) -> None:
        """Return when all that was sent so far has been applied, or the process has ended."""
        wanted = self._messages
        while self._answers < wanted and not self._has_ended:
            self._changed.clear()
            await self._changed.wait()
