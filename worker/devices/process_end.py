"""When a process is really gone: not when it was killed, and not when its channel has closed.

The kernel says it through a pidfd. Where there is none (another system than Linux), the word of
whoever reaped the process has to do.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable

_open = getattr(os, "pidfd_open", None)


def when_gone(pid: int | None, then: Callable[[], None]) -> None:
    """Call `then` once the process has ended: at once if it has; None is no process."""
    fd = _opened(pid)
    if fd is None:
        then()
        return
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(fd)
        os.close(fd)
        then()

    loop.add_reader(fd, gone)


async def until_gone(pid: int | None) -> None:
    """Return once the process has ended."""
    ended = asyncio.Event()
    when_gone(pid, ended.set)
    await ended.wait()


def _opened(pid: int | None) -> int | None:
    """Return a descriptor that is readable once the process has ended; None when it has."""
    if pid is None or _open is None:
        return None
    try:
        fd: int = _open(pid)
    except OSError:
        # Nobody has that number, or the machine has no descriptor left to wait with.
        return None
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if poll.poll(0):
        os.close(fd)
        return None
    return fd
