"""Templates of generations: one is always forked before it is asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psutil

from orchestrator.registry import RegistryMirror
from orchestrator.transport import Signer
from tests.support.waiting import wait_until
from worker.generations import Generations
from worker.link import Link

if TYPE_CHECKING:
    from orchestrator.store import Store


def test_a_generation_takes_the_spare_template_and_another_is_forked(store: Store) -> None:
    """Its first task would wait for the fork otherwise; the end of all ends the spare one, too."""

    async def scenario() -> None:
        link, signer = Link(asyncio.get_running_loop()), Signer(b"secret")
        generations = Generations(store, signer, link, RegistryMirror(store, signer))
        generations.warm()
        await asyncio.to_thread(
            wait_until, lambda: len(generations.pids) == 2, description="a spare one"
        )
        bare, spare = generations.pids
        taken = generations.fork()
        assert taken.pid == spare
        await asyncio.to_thread(
            wait_until, lambda: len(generations.pids) == 2, description="another one"
        )
        (another,) = set(generations.pids) - {bare}
        assert another != spare
        taken.close()
        await generations.close(10)
        await taken.ended
        await asyncio.to_thread(
            wait_until,
            lambda: not any(psutil.pid_exists(pid) for pid in (bare, another)),
            description="both have ended",
        )
        link.close()

    asyncio.run(scenario())
