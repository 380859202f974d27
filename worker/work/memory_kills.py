"""Whether the kernel has killed a process for want of memory since this was last asked.

Linux counts such kills for the whole machine, and in a container for its group. A process that
ended by SIGKILL while a count rose was most likely one of them; nothing tells it surely.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

SOURCES = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))
_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


class MemoryKills:
    """Remembers the counts that it saw last."""

    def __init__(self, sources: Sequence[Path] = SOURCES) -> None:
        self._sources = sources
        self._seen = self._counts()

    def have_risen(self) -> bool:
        """Whether there was one since the last call, or since this was made."""
        found = self._counts()
        before, self._seen = self._seen, found
        return any(count > before.get(source, count) for source, count in found.items())

    def _counts(self) -> dict[Path, int]:
        found: dict[Path, int] = {}
        for source in self._sources:
            try:
                count = _COUNT.search(source.read_text())
            except OSError:
                # Another system, or no such group.
                continue
            if count is not None:
                found[source] = int(count[1])
        return found
