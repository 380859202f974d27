"""Templates of generations: one is always forked before it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from rootward import orchestrator
from rootward.modules import ModuleBase, ServerModule
from rootward.modules.rpc.endpoints import WHOLE
from rootward.orchestrator.security.signing import Signer
from rootward.orchestrator.store.watch import RegistryMirror
from rootward.worker.agent.store_client import StoreClient
from rootward.worker.child import process_tree
from rootward.worker.work.generations import MOST_IDLE, Generations
from rootward.worker.work.output import Output
from tests.support.scripted import ScriptedWorker
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from rootward.orchestrator.store.store import Store


SECRET = b"a secret of the test that opens what its client seals"


@contextlib.asynccontextmanager
async def warmed(store: Store) -> AsyncIterator[Generations]:
    """Generations whose bare template and spare one run; none is left."""
    link, signer = StoreClient(asyncio.get_running_loop()), Signer(SECRET, prefix=store.keys.prefix)
    signer.enter(store.agents.store_id())
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


@pytest.fixture
def client(redis_url: str, prefix: str) -> Iterator[orchestrator.Client]:
    with orchestrator.connect(redis_url, secret=SECRET, prefix=prefix) as client:
        yield client


def echo(value: object) -> object:
    return value


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


def test_a_generation_that_serves_nothing_asks_the_registry_nothing(
    store: Store, client: orchestrator.Client
) -> None:
    """Its calls fail at once: nothing of it is on its way."""
    client.submit(ModuleBase(name="bare"))

    async def scenario() -> None:
        async with warmed(store) as generations:
            generation, before = generations.of(("bare", 1)), set(threading.enumerate())
            await generation.known()
            assert generation.table == {WHOLE: []}
            # Who follows the registry has a thread for it.
            started = set(threading.enumerate()) - before
            assert "rootward-registry" not in {thread.name for thread in started}

    asyncio.run(scenario())


def test_what_is_served_is_followed_until_its_generation_is_dropped(
    store: Store, client: orchestrator.Client
) -> None:
    worker = ScriptedWorker(client)
    for name in ("first", "second"):
        client.submit(ServerModule(echo, name=name))
    worker.work()
    changed: list[tuple[str, int | None]] = []

    async def scenario() -> None:
        async with warmed(store) as generations:
            generations.mirror.on_change(lambda name, number: changed.append((name, number)))
            for name in ("first", "second"):
                await generations.of((name, 1)).known()
            assert changed == [("first", 1), ("second", 1)]
            generations.drop(("first", 1))
            for name in ("first", "second"):
                ((replica, _),) = store.registry.replicas(name, 1)
                store.registry.drop(name, 1, replica.replica, "it is gone")
            await until(lambda: len(changed) > 2, "a change is heard")
            generations.mirror.close()

    asyncio.run(scenario())
    assert changed[2:] == [("second", 1)]


class Weights(ModuleBase):
    """A module with many bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(name="weights")
        self.weights = bytes(size)


@pytest.mark.parametrize("is_known_first", [False, True])
def test_of_a_tree_nothing_is_kept_once_its_process_has_it(
    store: Store, client: orchestrator.Client, is_known_first: bool
) -> None:
    """A tree may be hundreds of MiB, and a worker meets many."""
    size = 24 << 20
    client.submit(Weights(size))

    async def scenario() -> tuple[int, int]:
        async with warmed(store) as generations:
            gc.collect()
            tracemalloc.start()
            try:
                before, _ = tracemalloc.get_traced_memory()
                generation = generations.of(("weights", 1))
                if is_known_first:
                    await generation.known()
                await generation.ready(Output())
                held, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            return held - before, peak - before

    held, peak = asyncio.run(scenario())
    assert held < size / 8
    assert peak < 3.5 * size, "how often it is copied on its way"


def test_of_what_nobody_uses_only_the_last_few_are_kept_and_one_while_memory_is_scarce(
    store: Store,
) -> None:
    """Many short deployments would use up the worker's files and memory otherwise."""

    async def scenario() -> None:
        async with warmed(store) as generations:
            for number in range(MOST_IDLE + 4):
                generations.of((f"g{number:02}", 1)).used_at = float(number)
            generations.of(("g00", 1)).uses = 1
            generations.of(("g00", 1)).used_at = 0.0
            generations.drop_idle(20.0, is_memory_scarce=lambda: False)
            last = [f"g{number:02}" for number in range(4, MOST_IDLE + 4)]
            assert names(generations) == ["g00", *last], "what is used stays"
            generations.drop_idle(20.0, is_memory_scarce=lambda: True)
            assert names(generations) == ["g00", last[-1]]
            generations.drop_idle(20.0 + 3600.0, is_memory_scarce=lambda: False)
            assert names(generations) == ["g00"]

    asyncio.run(scenario())


def names(generations: Generations) -> list[str]:
    return sorted(place.rpartition("@")[0] for place in generations.offsets())


def test_a_worker_may_open_as_many_files_as_the_hard_limit_allows() -> None:
    code = (
        "import resource; from rootward.worker.child import process_tree as tree; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 2048)); tree.raise_descriptor_limit(); "
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["2048", "2048"]


@pytest.mark.skipif(not process_tree.IS_LINUX, reason="tells of the kernel's own table")
def test_room_for_many_descriptors_is_there_before_it_is_needed(store: Store) -> None:
    """Who has threads is stopped while it grows: at the first tasks, otherwise."""

    async def scenario() -> None:
        async with warmed(store):
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            assert room_for_descriptors() >= min(limit, 1024)

    asyncio.run(scenario())


def room_for_descriptors() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("FDSize"))
