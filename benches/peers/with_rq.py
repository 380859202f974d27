"""RQ with its own `depends_on`: every node is a job that depends on its children's jobs.

The second stage is enqueued when the first has ended; as dependencies it would be the product of
both. What a node counts travels beside RQ, by the same script that the other peers use.
"""

from __future__ import annotations

import os
import time

import barrier
from driving import obey
from redis import Redis
from rq import Queue
from rq.job import Dependency, Job
from shapes import Shape, shape


def node(name: str) -> None:
    """Be one task; RQ itself releases what depends on it."""
    barrier.run(name)


class Jobs:
    """The jobs of one shape, enqueued children first."""

    def __init__(self, queue: Queue, known: Shape) -> None:
        self._queue, self._known = queue, known
        self._jobs: list[Job] = []

    def enqueue(self, number: int) -> None:
        below = [self._jobs[child] for child in self._known.children[number]]
        job = self._queue.enqueue(
            "with_rq.node",
            f"{self._known.name}/{number}",
            depends_on=Dependency(below) if below else None,
            result_ttl=60,
        )
        self._jobs.append(job)


def submit(name: str) -> float:
    known = shape(name)
    jobs = Jobs(Queue("bench", connection=Redis.from_url(os.environ["BENCH_URL"])), known)
    start = time.perf_counter()
    barrier.store(name)
    for number in range(known.second):
        jobs.enqueue(number)
    submitted = time.perf_counter() - start
    if known.second < len(known):
        barrier.wait_for_stage(known)
        for number in range(known.second, len(known)):
            jobs.enqueue(number)
    return submitted


if __name__ == "__main__":
    obey(submit)
