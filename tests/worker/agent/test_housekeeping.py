"""The pulse beats as often as something can need it, and finds what nobody has rung for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.store.rq_compat import plain_queue
from rootward.worker.agent import housekeeping
from rootward.worker.agent.rq_worker import RqWorker
from rootward.worker.agent.store_client import StoreClient
from rootward.worker.work.assignment import Workload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from rootward.orchestrator.store.store import Store


class Desk:
    """Notes what the pulse asks of it."""

    def __init__(self) -> None:
        self.is_awake = False
        self.looks: list[bool] = []
        self.flushed = asyncio.Event()

    def pids(self) -> list[int]:
        return []

    async def flush(self) -> None:
        self.flushed.set()

    async def look(self, *, is_due: bool) -> None:
        self.looks.append(is_due)


@pytest.fixture
def engine(store: Store, prefix: str) -> Iterator[RqWorker]:
    engine = RqWorker(
        store.clients.blocking,
        name=prefix,
        queues=[plain_queue(prefix)],
        lease_s=10.0,
        on_stop_job=lambda _: None,
        on_shutdown=lambda: None,
    )
    yield engine
    engine.retire()


def beating(
    engine: RqWorker, act: Callable[[housekeeping.Housekeeping, Desk], Awaitable[None]]
) -> None:
    async def main() -> None:
        link, desk = StoreClient(asyncio.get_running_loop()), Desk()
        async with asyncio.timeout(20):
            await act(housekeeping.Housekeeping(engine, link, Workload(), desk), desk)
        link.close()

    asyncio.run(main())


def test_what_rqs_requeue_has_put_on_a_queue_is_found(store: Store, engine: RqWorker) -> None:
    """It rings no bell, and while nothing is active sweeps are rare."""
    client, (queue,) = store.clients.scripts, engine.queues

    async def act(beats: housekeeping.Housekeeping, desk: Desk) -> None:
        await beats.beat()
        client.rpush(queue.key, "a job")
        await beats.beat()
        client.delete(queue.key)
        await beats.beat()
        assert desk.looks == [False, True, False]

    beating(engine, act)


def test_tasks_are_looked_for_once_workers_are_resumed(engine: RqWorker) -> None:
    async def act(beats: housekeeping.Housekeeping, desk: Desk) -> None:
        beats.suspend()
        await beats.beat()
        assert desk.looks == [True]
        await beats.beat()
        assert desk.looks == [True, False]
        assert not beats.is_suspended

    beating(engine, act)


def test_a_worker_that_rq_has_forgotten_shows_again(store: Store, engine: RqWorker) -> None:
    client = store.clients.scripts

    async def act(beats: housekeeping.Housekeeping, desk: Desk) -> None:
        await beats.beat()
        assert client.hget(engine.key, "birth")
        assert client.hget(engine.key, "state") == b"idle"
        assert desk.looks == [False]

    beating(engine, act)


def test_who_rests_is_roused(engine: RqWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "IDLE_S", 300.0)

    async def act(beats: housekeeping.Housekeeping, desk: Desk) -> None:
        running = asyncio.ensure_future(beats.run())
        for _ in range(2):
            await desk.flushed.wait()
            desk.flushed.clear()
            beats.rouse()
        await desk.flushed.wait()
        running.cancel()

    beating(engine, act)
