"""What the kernel says of a TCP port of this machine: who has it, and who is connected to it.

Where there is no /proc, nobody is known to be connected.
"""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path
from typing import Final

from rootward.modules.processes.child import listen

_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
_ESTABLISHED: Final = "01"


def is_taken(host: str, port: int) -> bool:
    """Whether somebody has the port."""
    try:
        listen(host, port).close()
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def connections_to(port: int) -> int:
    """Return how many connections lead to the port and are open on both sides."""
    found = 0
    ending = f":{port:04X}"
    for table in _TABLES:
        with contextlib.suppress(OSError):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                found += state == _ESTABLISHED and local.endswith(ending)
    return found
