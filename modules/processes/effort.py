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
# Of the time, with that in which a thread could run and got no processor: on a busy machine one
# that works gets little, and one that asks for the lock waits for a processor each time.
_LEAST_WANTED: Final = 0.7
_STOPPED: Final = frozenset("Tt")
_WAITS_FOR_DISK: Final = "D"


class _Seen(NamedTuple):
    """One look at a process: by thread, its processor time and that with the wait for one (s)."""

    at: float
    used_s: dict[int, float]
    wanted_s: dict[int, float]
    states: frozenset[str]


class Effort:
    """Remembers the last look at one process."""

    __slots__ = ("_pid", "_seen")

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self._pid: int | None = None
        self._seen: _Seen | None = None

    def has_worked(self, pid: int | None) -> bool:
        """Say whether the process has worked since the last look; at the first one it hasn't."""
        before = self._seen if self._pid == pid else None
        self._pid, self._seen = pid, None if pid is None else _look(pid)
        seen = self._seen
        if seen is None or seen.states <= _STOPPED:
            return False
        if _WAITS_FOR_DISK in seen.states:
            return True
        if before is None:
            return False
        passed_s = seen.at - before.at
        return (
            _most(seen.used_s, before.used_s) > _LEAST_SHARE * passed_s
            or _most(seen.wanted_s, before.wanted_s) > _LEAST_WANTED * passed_s
        )


def _most(now: dict[int, float], before: dict[int, float]) -> float:
    """Return how much the thread has got that has got most; new threads count in whole."""
    return max((s - before.get(thread, 0.0) for thread, s in now.items()), default=0.0)


def _look(pid: int) -> _Seen | None:
    """Return what the kernel says; None for a process that isn't there."""
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.exists():
        return _ask_psutil(pid)
    used_s: dict[int, float] = {}
    wanted_s: dict[int, float] = {}
    states: set[str] = set()
    for task in tasks.iterdir():
        try:
            # Behind the name, which may hold anything: the state first, then numbers.
            fields = (task / "stat").read_text("latin-1").rpartition(")")[2].split()
            used_ns, waited_ns = _scheduled_ns(task, fields)
        except OSError:
            continue
        states.add(fields[0])
        thread = int(task.name)
        used_s[thread], wanted_s[thread] = used_ns / 1e9, (used_ns + waited_ns) / 1e9
    return _Seen(time.monotonic(), used_s, wanted_s, frozenset(states)) if states else None


def _scheduled_ns(task: Path, fields: list[str]) -> tuple[int, int]:
    """Return how long a thread has run, and how long it has waited for a processor."""
    try:
        used, waited, _ = (task / "schedstat").read_text("ascii").split()
    except (OSError, ValueError):
        # Not every kernel counts that: then what it has used is all that is known.
        ticks = int(fields[11]) + int(fields[12])
        return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK"), 0
    return int(used), int(waited)


def _ask_psutil(pid: int) -> _Seen | None:
    """Return the same of the process as a whole, where there is no /proc."""
    import psutil

    try:
        process = psutil.Process(pid)
        status, times = process.status(), process.cpu_times()
    except psutil.Error:
        return None
    state = "T" if status == psutil.STATUS_STOPPED else "S"
    used_s = {pid: times.user + times.system}
    return _Seen(time.monotonic(), used_s, used_s, frozenset(state))
