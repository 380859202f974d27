"""A process's children and what becomes of them: the kernel's part of how all end together.

It owns the calls of Linux that tie processes together (death signals, adoption of orphans), the
search for descendants and their killing, and the room for descriptors that an owner needs. Where
the kernel offers none of this the functions do nothing, and what is left is the end of the control
channel, which every process watches itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Final

IS_LINUX: Final = sys.platform.startswith("linux")

_PDEATHSIG: Final = 1
_CHILD_SUBREAPER: Final = 36
_SWEEP_S: Final = 5.0
_DESCRIPTORS: Final = 1024
_MOST_DESCRIPTORS: Final = 65_536


def wake_with_parent_death() -> None:
    """Let the end of the parent wake this process if it is stopped; it ends by its channel."""
    _prctl(_PDEATHSIG, signal.SIGCONT)


def die_with_parent(parent: int) -> None:
    """Let the end of the parent's thread end this process, at once and even when it is stopped."""
    _prctl(_PDEATHSIG, signal.SIGKILL)
    # It may have ended before the kernel was asked.
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parents end."""
    _prctl(_CHILD_SUBREAPER, 1)


def lead_group() -> None:
    """Become the leader of a session and process group of its own, unless it is that already."""
    if os.getpid() != os.getsid(0):
        os.setsid()


def kill_group(pid: int) -> None:
    """Kill the process group of `pid`, if there is one."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        return


def raise_descriptor_limit() -> None:
    """Let this process and its children open as many files as the hard limit allows (to 65,536).

    Each process that a worker runs costs it some; the usual soft limit of 1,024 is soon reached.
    """
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Where even that is refused, the limit stays as it is.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def reserve_descriptors() -> None:
    """Make room for many open descriptors now, and not when they are needed.

    Where a process has threads, the kernel stops whoever opens the first above 64, 256 and so on
    for 10 ms or more: it waits until no processor looks at the smaller table any more.
    """
    if not IS_LINUX:
        return
    # Here, as the processes that fork have no use for them.
    import fcntl
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, _DESCRIPTORS)
    fd = os.open(os.devnull, os.O_RDONLY)
    try:
        os.close(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, most - 1))
    except OSError:
        # None is free there: then there is room.
        return
    finally:
        os.close(fd)


def has_children() -> bool:
    """Whether this process has children, also ended ones that nobody has waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def children(parent: int | None = None) -> list[int]:
    """Return the ids of a process's children, adopted ones too; none where nobody can tell.

    Of this process without a parent; of another those of its main thread.
    """
    pid = os.getpid() if parent is None else parent
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def kill_orphans_of_session(parent: int) -> None:
    """Kill the processes of this one's session that `parent` has adopted."""
    own = os.getpid()
    for pid in children(parent):
        try:
            if pid != own and os.getsid(pid) == own:
                os.kill(pid, signal.SIGKILL)
        except OSError:
            continue


def kill_strays(known: Collection[int], spared: set[int]) -> None:
    """Kill adopted orphans that belong to no living child.

    `known` are the living children. An orphan in the session of one of them is its own (a server
    that a task left running, say) and is spared, as is one that was here before (`spared`).
    """
    for pid in children():
        if pid in known or pid in spared:
            continue
        try:
            if os.getsid(pid) in known:
                spared.add(pid)
            else:
                os.kill(pid, signal.SIGKILL)
        except OSError:
            continue


def kill_all(known: Collection[int]) -> None:
    """Kill the groups of the known children and then every descendant; return when none is left."""
    for pid in known:
        kill_group(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
    deadline = time.monotonic() + _SWEEP_S
    while time.monotonic() < deadline:
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        try:
            # Those of a dying child become ours only now, so look again after each.
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _prctl(option: int, value: int) -> None:
    if IS_LINUX:
        _kernel()(option, value, 0, 0, 0)


@cache
def _kernel() -> Callable[..., int]:
    """Return the call, found once before any fork: making it anew would cost each child a class."""
    import ctypes

    prctl: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    return prctl
