"""How the machine refuses a process: it has too many of them or of open files, or no memory.

That says nothing about what the process was for, and may be over soon.
"""

from __future__ import annotations

import errno
from typing import Final

from ..errors import RootwardError

_SCARCE: Final = frozenset(
    {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ETOOMANYREFS}
)


class NoProcess(RootwardError):
    """The machine has refused a process, which has therefore done nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the machine has no room for another process: {reason}")


def is_scarcity(error: BaseException) -> bool:
    """Whether an error of our own code says that processes, open files or memory are short."""
    if isinstance(error, OSError):
        return error.errno in _SCARCE
    return isinstance(error, NoProcess)
