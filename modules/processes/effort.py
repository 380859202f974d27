"""Whether a process that doesn't answer works all the same, by what the kernel says of it.

A call may hold the interpreter's lock for as long as it takes: one regular expression, one large
call of a C library. Then no thread of its process answers anybody, and the process is not dead for
that. One of which no thread uses a processor or waits for a disk is: it was stopped, or is
dead-locked. Each thread is judged by itself, because all that wait for the interpreter's lock wake
up 200 times a second to ask for it, which many of them together pay as much as work for.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final, NamedTuple

# Of one processor. A thread that waits for the interpreter's lock uses less than a hundredth.
_LEAST_SHARE: Final = 0.05
# Runnable, and waiting for a disk; on a busy machine what is runnable may get no processor.
_AT_WORK: Final = frozenset("RD")
_STOPPED: Final = frozenset("Tt")


class _Seen(NamedTuple):
    """One look at a process: by thread, the processor time that it has used, and its state."""

    at: float
    cpu_s: dict[int, float]
    states: frozenset[str]


class Effort:
    """Remembers the last look at one process."""

    __slots__ = ("_pid", "_seen")

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self._pid: int | None = None
        self._seen: _Seen | None = None

    def has_worked(self, pid: int | None) -> bool:
        """Say whether the process has worked since the last look, or does so now.

        The first look at a process knows only what it does now.
        """
        before = self._seen if self._pid == pid else None
        self._pid, self._seen = pid, None if pid is None else _look(pid)
        seen = self._seen
        if seen is None or seen.states <= _STOPPED:
            return False
        if seen.states & _AT_WORK:
            return True
        if before is None:
            return False
        least_s = _LEAST_SHARE * (seen.at - before.at)
        return any(
            used_s - before.cpu_s.get(thread, 0.0) > least_s
            for thread, used_s in seen.cpu_s.items()
        )


def _look(pid: int) -> _Seen | None:
    """Return what the kernel says; None for a process that isn't there."""
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.exists():
        return _ask_psutil(pid)
    ticks = os.sysconf("SC_CLK_TCK")
    cpu_s: dict[int, float] = {}
    states: set[str] = set()
    for task in tasks.iterdir():
        try:
            # Behind the name, which may hold anything: the state first, then numbers.
            fields = (task / "stat").read_text("latin-1").rpartition(")")[2].split()
        except OSError:
            continue
        states.add(fields[0])
        cpu_s[int(task.name)] = (int(fields[11]) + int(fields[12])) / ticks
    return _Seen(time.monotonic(), cpu_s, frozenset(states)) if states else None


def _ask_psutil(pid: int) -> _Seen | None:
    """Return the same of the process as a whole, where there is no /proc."""
    import psutil

    try:
        process = psutil.Process(pid)
        status, times = process.status(), process.cpu_times()
    except psutil.Error:
        return None
    state = {psutil.STATUS_RUNNING: "R", psutil.STATUS_STOPPED: "T"}.get(status, "S")
    return _Seen(time.monotonic(), {pid: times.user + times.system}, frozenset(state))
