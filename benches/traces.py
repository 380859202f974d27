"""The trace that tasks write themselves, and the check that it tells of a right run.

Every task, whoever runs it, appends one line to one file: its node, when it began and ended, what
it counted, and its process. Appending a short line is one write, which the system keeps whole.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from shapes import Shape

FOLDER = "BENCH_TRACES"
"""Environment variable: where the traces are."""

_open: dict[str, int] = {}


def work(node: int, below: int, sleep_s: float, name: str) -> int:
    """Be the task of `node`: sleep, count itself and what is `below`, leave a line."""
    began = time.monotonic_ns()
    if sleep_s:
        time.sleep(sleep_s)
    value = below + 1
    fd = _open.get(name)
    if fd is None:
        path = Path(os.environ[FOLDER]) / name
        fd = _open[name] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, b"%d %d %d %d %d\n" % (node, began, time.monotonic_ns(), value, os.getpid()))
    return value


class WrongRun(AssertionError):
    """A run broke the promise of the barrier; the message says where."""


def clear(folder: Path, name: str) -> None:
    """Begin a new trace in the same file: processes may have it open."""
    path = folder / name
    if path.exists():
        os.truncate(path, 0)


def check(folder: Path, shape: Shape) -> None:
    """Raise WrongRun unless each node ran once, after its children, and the root counted all."""
    began, ended, values = {}, {}, {}
    for line in (folder / shape.name).read_text().splitlines():
        node, *rest = map(int, line.split())
        if node in began:
            raise WrongRun(f"{shape.name}: node {node} ran twice")
        began[node], ended[node], values[node] = rest[:3]
    if len(began) != len(shape):
        raise WrongRun(f"{shape.name}: {len(began)} of {len(shape)} nodes ran")
    for node, below in enumerate(shape.children):
        for child in below:
            if began[node] < ended[child]:
                raise WrongRun(f"{shape.name}: node {node} began before its child {child} ended")
    first = max((ended[n] for n, stage in enumerate(shape.stages) if not stage), default=0)
    if min((began[n] for n, stage in enumerate(shape.stages) if stage), default=first) < first:
        raise WrongRun(f"{shape.name}: the second stage began before the first had ended")
    if values[len(shape) - 1] != shape.root_value:
        raise WrongRun(f"{shape.name}: the root counted {values[len(shape) - 1]}")
