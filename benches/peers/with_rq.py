"""RQ with its own `depends_on`: every node is a job that depends on its children's jobs."""

from __future__ import annotations

import os
import sys
import time

import barrier
from redis import Redis
from rq import Queue
from rq.job import Dependency
from shapes import shape


def node(name: str) -> None:
    """Be one task; RQ itself releases what depends on it."""
    barrier.run(name)


def drive() -> None:
    """Obey lines as `driving.drive` does."""
    queue = Queue("bench", connection=Redis.from_url(os.environ["BENCH_URL"]))
    for line in sys.stdin:
        name = line.strip()
        start = time.perf_counter()
        barrier.store(name)
        jobs = []
        for number, below in enumerate(shape(name).children):
            depends = Dependency([jobs[child] for child in below]) if below else None
            task = f"{name}/{number}"
            jobs.append(queue.enqueue("with_rq.node", task, depends_on=depends, result_ttl=60))
        submitted = time.perf_counter() - start
        barrier.wait()
        print(submitted, flush=True)
        barrier.forget(name)


if __name__ == "__main__":
    drive()
