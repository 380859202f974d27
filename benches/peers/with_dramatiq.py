"""Dramatiq with a barrier made by hand: its actor enqueues what it has released."""

from __future__ import annotations

import os

import barrier
import dramatiq
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_URL"]))


@dramatiq.actor(max_retries=0)
def node(name: str) -> None:
    released = barrier.run(name)
    if released:
        node.send(released)


if __name__ == "__main__":
    import driving

    driving.drive(node.send)
