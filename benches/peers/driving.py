"""The program that submits for a peer: it runs in the peer's environment, told by lines.

Each line of standard input is a shape; the answer is one line, the seconds that its submit took.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import barrier


def drive(enqueue: Callable[[str], object]) -> None:
    """Obey lines until there are no more; `enqueue` sends one task."""
    for line in sys.stdin:
        name = line.strip()
        start = time.perf_counter()
        for node in barrier.store(name):
            enqueue(node)
        submitted = time.perf_counter() - start
        barrier.wait()
        print(submitted, flush=True)
        barrier.forget(name)
