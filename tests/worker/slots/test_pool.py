"""The pool of slots by itself: what is killed, dropped or lost, and what is left of the rest."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from rootward import orchestrator
from rootward.modules import ModuleBase
from rootward.orchestrator.states import TaskState
from rootward.orchestrator.store.records import Claim
from rootward.worker.slots import pool as pool_module
from rootward.worker.slots.pool import SlotPool
from rootward.worker.work.assignment import Assignment, NotBegun, Outcome, TaskLost
from tests.support.waiting import wait_until
from tests.worker.work.test_generations import SECRET, warmed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rootward.orchestrator.store.store import Store
    from rootward.worker.work.generation import Generation

ENDS_S = 30.0
_numbers = itertools.count()


class Part(ModuleBase):
    """Says by which process it is run; waits for ever unless it is quick."""

    def __init__(self, name: str, folder: str, *, quick: bool = False) -> None:
        super().__init__(name=name)
        self.folder, self.quick = folder, quick

    def _get_train_tasks(self) -> Callable[[], None]:
        return self.train

    def train(self) -> None:
        file = Path(self.folder, self.name)
        file.with_suffix(".new").write_text(str(os.getpid()))
        file.with_suffix(".new").rename(file)
        if not self.quick:
            threading.Event().wait()


class Parts(ModuleBase):
    def __init__(self, *parts: Part) -> None:
        super().__init__(name="parts")
        self.parts = list(parts)


class Told:
    """A task that was given to a pool, and what was told of it."""

    def __init__(self, pool: SlotPool, generation: Generation, part: str) -> None:
        self.part = part
        claim = Claim(
            job_id=f"job-{next(_numbers)}", name="parts", generation=1, task=f"train:{part}",
            kind="train", path=f"parts/{part}", attempt=1, token="t", data=b"", queue="q",
        )  # fmt: skip
        self.assignment = Assignment(claim=claim)
        self.result: asyncio.Future[Outcome | BaseException] = (
            asyncio.get_running_loop().create_future()
        )
        pool.run(self.assignment, generation, self.result.set_result)

    async def end(self) -> Outcome | BaseException:
        async with asyncio.timeout(ENDS_S):
            return await self.result

    async def begun(self, folder: Path) -> int:
        """Return the process that runs it, once it has begun."""
        file = folder / self.part
        return int(await asyncio.to_thread(_text_of, file))


def _text_of(file: Path) -> str:
    wait_until(file.exists, description=f"{file.name} has begun", timeout=ENDS_S)
    return file.read_text()


async def gone(pid: int) -> None:
    await asyncio.to_thread(
        wait_until, lambda: not psutil.pid_exists(pid), description="it is gone", timeout=ENDS_S
    )


@pytest.fixture
def client(redis_url: str, prefix: str, tmp_path: Path) -> Iterator[orchestrator.Client]:
    with orchestrator.connect(redis_url, secret=SECRET, prefix=prefix) as client:
        folder = str(tmp_path)
        parts = [Part(name, folder) for name in ("long", "other")]
        client.submit(Parts(*parts, Part("quick", folder, quick=True)), kinds=("train",))
        yield client


@pytest.mark.usefixtures("client")
def test_the_process_of_a_task_that_is_dropped_is_ended_and_what_waited_behind_it_runs(
    store: Store, tmp_path: Path
) -> None:
    """A task whose time is over would go on, beside its next try, otherwise."""

    async def scenario() -> None:
        async with warmed(store) as generations:
            generation, pool = generations.of(("parts", 1)), SlotPool(1, 1 << 20)
            dropped = Told(pool, generation, "long")
            pid = await dropped.begun(tmp_path)
            waiting = Told(pool, generation, "quick")
            late = TimeoutError("too late")
            assert pool.drop(dropped.assignment, late)
            assert dropped.result.done(), "at once"
            assert await dropped.end() is late
            await gone(pid)
            outcome = await waiting.end()
            # It may have waited for too long by then, which gives it back to its queue.
            assert isinstance(outcome, NotBegun) or outcome.state is TaskState.SUCCEEDED  # type: ignore[union-attr]
            assert pid not in pool.pids
            assert not pool.drop(dropped.assignment, late), "it isn't here any more"

    asyncio.run(scenario())


@pytest.mark.usefixtures("client")
def test_only_the_task_that_is_meant_is_killed(store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with warmed(store) as generations:
            generation, pool = generations.of(("parts", 1)), SlotPool(2, 1 << 20)
            first, second = Told(pool, generation, "long"), Told(pool, generation, "other")
            pids = [await first.begun(tmp_path), await second.begun(tmp_path)]
            assert generation.uses == pool.busy == len(generation.children) == 2
            assert pool.kill(second.assignment)
            assert isinstance(await second.end(), TaskLost)
            await gone(pids[1])
            assert pool.pids == [pids[0]]
            assert not first.result.done()
            assert generation.uses == pool.busy == len(generation.children) == 1
            assert not pool.kill(second.assignment), "it isn't here any more"
            pool.kill_all()
            assert isinstance(await first.end(), TaskLost)
            assert not generation.children, "no endpoint is pushed to them any more"

    asyncio.run(scenario())


@pytest.mark.usefixtures("client")
def test_a_task_that_waits_is_killed_without_a_process(store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with warmed(store) as generations:
            generation, pool = generations.of(("parts", 1)), SlotPool(1, 1 << 20)
            first = Told(pool, generation, "long")
            pid = await first.begun(tmp_path)
            second = Told(pool, generation, "other")
            assert pool.kill(second.assignment)
            assert second.result.done()
            assert isinstance(await second.end(), (TaskLost, NotBegun))
            assert (pool.pids, first.result.done()) == ([pid], False)
            assert not (tmp_path / "other").exists()
            pool.kill_all()
            await first.end()

    asyncio.run(scenario())


@pytest.mark.usefixtures("client")
def test_a_task_that_is_killed_while_its_process_starts_never_begins(
    store: Store, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with warmed(store) as generations:
            generation, pool = generations.of(("parts", 1)), SlotPool(1, 1 << 20)
            early = Told(pool, generation, "long")
            # It is handed out now, and its slot loads the tree.
            await asyncio.sleep(0)
            assert pool.kill(early.assignment)
            assert isinstance(await early.end(), TaskLost)
            assert isinstance(await Told(pool, generation, "quick").end(), Outcome)
            assert not (tmp_path / "long").exists()
            assert generation.uses == pool.busy == 0

    asyncio.run(scenario())


@pytest.mark.usefixtures("client")
def test_nothing_is_claimed_ahead_after_a_rest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes next may be of another kind."""
    monkeypatch.setattr(pool_module, "_REST_S", 3600.0)

    async def scenario() -> None:
        async with warmed(store) as generations:
            generation, pool = generations.of(("parts", 1)), SlotPool(1, 1 << 20)
            for _ in range(50):
                await Told(pool, generation, "quick").end()
                if pool.ahead:
                    break
            assert pool.ahead > 0
            monkeypatch.setattr(pool_module, "_REST_S", -1.0)
            assert pool.ahead == 0
            monkeypatch.setattr(pool_module, "_REST_S", 3600.0)
            assert pool.ahead == 0, "it begins anew"

    asyncio.run(scenario())
