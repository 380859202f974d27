"""Templates of generations: one is always forked before it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import psutil

from orchestrator.registry import RegistryMirror
from orchestrator.transport import Signer
from tests.support.waiting import wait_until
from worker.generations import Generations
from worker.link import Link

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from orchestrator.store import Store


@contextlib.asynccontextmanager
async def warmed(store: Store) -> AsyncIterator[Generations]:
    """Generations whose bare template and spare one run; none is left."""
    link, signer = Link(asyncio.get_running_loop()), Signer(b"secret")
    generations = Generations(store, signer, link, RegistryMirror(store, signer))
    generations.warm()
    try:
        await until(lambda: len(generations.pids) == 2, "a spare one")
        yield generations
    finally:
        pids = generations.pids
        await generations.close(10)
        link.close()
    await until(lambda: not any(map(psutil.pid_exists, pids)), "all have ended")


async def until(predicate: Callable[[], bool], description: str) -> None:
    await asyncio.to_thread(wait_until, predicate, description=description)


def test_a_generation_takes_the_spare_template_and_another_is_forked(store: Store) -> None:
    """Its first task would wait for the fork otherwise."""

    async def scenario() -> None:
        async with warmed(store) as generations:
            bare, spare = generations.pids
            taken = generations.fork()
            assert taken.pid == spare
            await until(lambda: len(generations.pids) == 2, "another one")
            assert generations.pids[0] == bare
            assert generations.pids[1] != spare
            taken.close()
            await taken.ended

    asyncio.run(scenario())


def test_a_spare_template_that_was_killed_is_replaced(store: Store) -> None:
    """Nobody is given one that has ended."""

    async def scenario() -> None:
        async with warmed(store) as generations:
            bare, spare = generations.pids
            psutil.Process(spare).kill()
            await until(lambda: generations.pids == [bare], "its end is known")
            forked = generations.fork()
            await until(lambda: len(generations.pids) == 2, "another one")
            assert forked.pid not in {None, spare, *generations.pids}
            forked.close()
            await forked.ended

    asyncio.run(scenario())
