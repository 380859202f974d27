"""The servers that a benchmark starts beside ours: ports for them, their start and their end.

A server counts as started when it has answered. What it serves, and how it is asked, is the
caller's.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [sock.getsockname()[1] for sock in sockets]


@contextlib.contextmanager
def running(commands: Sequence[list[str]]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run programs beside the block; they are killed at its end."""
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def await_answer(
    ask: Callable[[], object],
    *,
    not_yet: type[Exception] | tuple[type[Exception], ...],
    pause_s: float,
    patience_s: float = 30,
) -> None:
    """Ask until there is an answer; an error that is no `not_yet`, or the last one, is raised."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            ask()
        except not_yet:
            if time.monotonic() > deadline:
                raise
            time.sleep(pause_s)
        else:
            return
