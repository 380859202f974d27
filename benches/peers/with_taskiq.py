"""taskiq with a barrier made by hand: its task enqueues what it has released."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import barrier
from shapes import shape
from taskiq_redis import ListQueueBroker

broker = ListQueueBroker(url=os.environ["BENCH_URL"])


@broker.task(task_name="step")
async def step(name: str) -> None:
    loop = asyncio.get_running_loop()
    released = await loop.run_in_executor(None, barrier.run, name)
    if released:
        await step.kiq(released)


async def _submit(name: str) -> float:
    start = time.perf_counter()
    first, second = barrier.store(name)
    for each in first:
        await step.kiq(each)
    submitted = time.perf_counter() - start
    if second:
        await asyncio.to_thread(barrier.wait_for_stage, shape(name))
        for each in second:
            await step.kiq(each)
    return submitted


async def _drive() -> None:
    """Obey lines as `driving.obey` does."""
    await broker.startup()
    while line := await asyncio.to_thread(sys.stdin.readline):
        name = line.strip()
        spent = await _submit(name)
        await asyncio.to_thread(barrier.wait)
        print(spent, flush=True)
        barrier.forget(name)


if __name__ == "__main__":
    asyncio.run(_drive())
