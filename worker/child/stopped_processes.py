"""Finds the processes that somebody has stopped (SIGSTOP, a debugger) and ends them.

A stopped process neither works nor ends, so whoever waits for it would wait for ever. Replicas are
asked whether they live; slots and templates may rightly be silent for hours, so of them the kernel
is asked. One that stays stopped for some seconds is killed, and what it did is a loss like any
other. Time in which the agent itself was stopped counts for nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

import psutil

STOPPED_S = 3.0
_LONGEST_GAP_S = 2.5


class StoppedProcesses:
    """Remembers since when each process was seen stopped."""

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self._since: dict[int, float] = {}
        self._looked_at = float("-inf")

    def end(self, pids: Iterable[int], now: float) -> list[int]:
        """Kill those that were stopped for long at `now` (monotonic seconds); return them."""
        if now - self._looked_at > _LONGEST_GAP_S:
            self._since.clear()
        self._looked_at = now
        self._since = {pid: self._since.get(pid, now) for pid in pids if is_stopped(pid)}
        ended = [pid for pid, since in self._since.items() if now - since >= STOPPED_S]
        for pid in ended:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        return ended


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped; not one that is gone."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def is_any_stopped(pid: int) -> bool:
    """Whether a process, or any that it has started, is stopped; not of one that is gone."""
    try:
        main = psutil.Process(pid)
        family = [main, *main.children(recursive=True)]
        return any(each.status() == psutil.STATUS_STOPPED for each in family)
    except psutil.Error:
        return False
