"""taskiq with a barrier made by hand: its task enqueues what it has released."""

from __future__ import annotations

import asyncio
import os

import barrier
from taskiq_redis import ListQueueBroker

broker = ListQueueBroker(url=os.environ["BENCH_URL"])


@broker.task(task_name="step")
async def step(name: str) -> None:
    loop = asyncio.get_running_loop()
    released = await loop.run_in_executor(None, barrier.run, name)
    if released:
        await step.kiq(released)


async def _drive() -> None:
    import sys
    import time

    await broker.startup()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name = line.strip()
        start = time.perf_counter()
        for each in barrier.store(name):
            await step.kiq(each)
        submitted = time.perf_counter() - start
        await loop.run_in_executor(None, barrier.wait)
        print(submitted, flush=True)
        barrier.forget(name)


if __name__ == "__main__":
    asyncio.run(_drive())
