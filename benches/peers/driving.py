"""The program that submits for a peer: it runs in the peer's environment, told by lines.

Each line of standard input is a shape; the answer is one line, the seconds that its submit took.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import barrier
from shapes import shape


def drive(enqueue: Callable[[str], object]) -> None:
    """Obey lines for a peer with our barrier; `enqueue` sends one task."""

    def submit(name: str) -> float:
        start = time.perf_counter()
        first, second = barrier.store(name)
        for node in first:
            enqueue(node)
        submitted = time.perf_counter() - start
        if second:
            barrier.wait_for_stage(shape(name))
            for node in second:
                enqueue(node)
        return submitted

    obey(submit)


def obey(submit: Callable[[str], float]) -> None:
    """Obey lines; `submit` returns the seconds that it took, and our barrier tells the end."""
    for line in sys.stdin:
        name = line.strip()
        spent = submit(name)
        barrier.wait()
        print(spent, flush=True)
        barrier.forget(name)
