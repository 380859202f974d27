"""What tasks printed, repeated in the program that waits for them.

A task's output is stored before its finish, so whoever has read the finish finds all of it. Each
task's output comes whole and in order of finish: what it wrote to standard output goes to ours, the
rest to standard error. Nothing is printed twice, and nothing of a task that still runs.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import TYPE_CHECKING

from ..store.records import ERROR_FD
from ..store.records.events import EventName
from ..terminal import clean

if TYPE_CHECKING:
    from ..store.records import LogEntry
    from ..store.records.events import Event
    from ..store.store import Store

_FINISHES = frozenset({EventName.TASK_SUCCEEDED, EventName.TASK_FAILED, EventName.TASK_RETRIED})


class Echo:
    """Prints the output of one generation's tasks as they finish."""

    def __init__(self, store: Store, name: str, generation: int) -> None:
        self._store = store
        self._name = name
        self._generation = generation
        self._after = "0"
        self._kept: dict[str, list[LogEntry]] = defaultdict(list)

    def heard(self, event: Event) -> None:
        """Print what the task of a finish printed; other events are nothing to it."""
        if event.event not in _FINISHES or event.task is None:
            return
        # Always to the end: part of it may have been read when another task finished.
        self._read()
        for line in self._kept.pop(event.task, ()):
            # The error of a task is raised where it is waited for.
            if line.fd != ERROR_FD:
                stream = sys.stderr if line.fd == 2 else sys.stdout
                stream.write(clean(line.text) if stream.isatty() else line.text)
        sys.stdout.flush()
        sys.stderr.flush()

    def _read(self) -> None:
        while lines := self._store.history.logs(self._name, self._generation, self._after):
            for line in lines:
                self._after = line.id
                if line.task is not None:
                    self._kept[line.task].append(line)
