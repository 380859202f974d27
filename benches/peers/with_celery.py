"""Celery with a barrier made by hand: its task enqueues what it has released."""

from __future__ import annotations

import os

import barrier
from celery import Celery

app = Celery("with_celery", broker=os.environ["BENCH_URL"])
app.conf.update(
    task_ignore_result=True, worker_prefetch_multiplier=4, worker_hijack_root_logger=False
)


@app.task(name="node")
def node(name: str) -> None:
    released = barrier.run(name)
    if released:
        node.delay(released)


if __name__ == "__main__":
    import driving

    driving.drive(node.delay)
