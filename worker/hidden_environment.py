"""Keeps the secret of a worker from the processes of the same user that run others' code.

They don't inherit it, but the kernel shows them the environment that the worker was started with
(/proc/PID/environ), and its memory. So what was read is taken out of the environment and wiped from
where the kernel reads it, and the process is marked as one that others may not look into. Root with
all its capabilities looks into everything all the same.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

HIDDEN: Final = ("ROOTWARD_SECRET", "REDIS_URL")
_SET_DUMPABLE: Final = 4
# proc(5), by the numbers there; what stands before the third may hold spaces.
_ENV_START, _ENV_END, _FIRST = 50, 51, 3


def hide(names: Sequence[str] = HIDDEN) -> None:
    """Forget these variables; only what has read them before knows them now. Linux only."""
    for name in names:
        os.environ.pop(name, None)
    if not sys.platform.startswith("linux"):
        return
    try:
        _wipe(names)
    finally:
        ctypes.CDLL(None, use_errno=True).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def _wipe(names: Sequence[str]) -> None:
    """Overwrite the values where they stood when the process began."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[_ENV_START - _FIRST]), int(fields[_ENV_END - _FIRST])
    if not 0 < start < end:
        return
    at = start
    for entry in ctypes.string_at(start, end - start).split(b"\0"):
        name, separator, value = entry.partition(b"=")
        if separator and name.decode(errors="replace") in names:
            ctypes.memset(at + len(name) + 1, 0, len(value))
        at += len(entry) + 1
