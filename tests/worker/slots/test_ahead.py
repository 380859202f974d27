"""What an agent claims ahead of its slots starts soon, or goes back for others to take."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.modules import ModuleBase
from rootward.orchestrator.settings import Secret, Settings
from rootward.worker import Agent
from rootward.worker.slots import pool, prefetch, slot_handle
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rootward.orchestrator.store.store import Store


class Step(ModuleBase):
    """Ends at once, or, with a gate, when somebody opens it for writing."""

    def __init__(self, name: str, gate: str | None = None) -> None:
        super().__init__(name=name)
        self.gate = gate

    def _get_train_tasks(self) -> Callable[[], None]:
        return self.train

    def train(self) -> None:
        if self.gate is not None:
            Path(self.gate).read_text()


class Teller(Step):
    """Tells its name on both streams, by Python and past it."""

    def train(self) -> None:
        print(f"{self.name} printed")
        os.write(2, f"{self.name} wrote\n".encode())


class Waiting(Step):
    """Tells that it waits, far beyond what a pipe holds, and waits for its gate."""

    def train(self) -> None:
        print("waits", "." * (1 << 18))
        super().train()


class Numbered(Step):
    """Tells the number of its process."""

    def train(self) -> None:
        print(os.getpid())


class Dying(Step):
    """Ends its process the first time."""

    def train(self) -> None:
        if self.gate is not None and not Path(self.gate).exists():
            Path(self.gate).touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Steps(ModuleBase):
    def __init__(self, steps: list[Step]) -> None:
        super().__init__(name="steps")
        self.steps = steps


def test_tasks_behind_one_that_turns_out_long_go_back_uncounted(
    redis_url: str, prefix: str, secret: str, store: Store, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    settings = Settings(redis_url=redis_url, prefix=prefix, secret=Secret(secret))
    steps = [*(Step(f"short-{n}") for n in range(12)), Step("long", str(gate))]
    steps += [Step(f"late-{n}") for n in range(3)]

    def states(start: str) -> set[str]:
        tasks = store.tasks.of("steps", 1)
        return {str(task.state) for task in tasks if (task.path or "").startswith(start)}

    first, second = (Agent(settings=settings, name=name, slots=1) for name in ("one", "two"))
    first.start()
    try:
        with orchestrator.connect(redis_url, secret=secret, prefix=prefix) as client:
            deployment = client.submit(Steps(steps), name="steps", kinds=("train",))
            wait_until(
                lambda: states("steps/long") == {"running"} and states("steps/late") == {"queued"},
                description="what waits behind the long task is back on its queue",
            )
            second.start()
            wait_until(
                lambda: states("steps/late") == {"succeeded"},
                description="the other worker has run it",
            )
            assert states("steps/long") == {"running"}
            gate.write_text("go on")
            deployment.wait(40)
    finally:
        first.stop(5)
        second.stop(5)
    assert {task.attempt for task in store.tasks.of("steps", 1)} == {1}


@contextlib.contextmanager
def beside_an_agent(settings: Settings, slots: int) -> Iterator[orchestrator.Client]:
    assert settings.secret is not None
    agent = Agent(settings=settings, name="one", slots=slots)
    agent.start()
    try:
        with orchestrator.connect(
            settings.redis_url, secret=settings.secret.reveal(), prefix=settings.prefix
        ) as client:
            yield client
    finally:
        agent.stop(5)


@pytest.fixture
def client(redis_url: str, prefix: str, secret: str) -> Iterator[orchestrator.Client]:
    settings = Settings(redis_url=redis_url, prefix=prefix, secret=Secret(secret))
    with beside_an_agent(settings, slots=1) as client:
        yield client


def test_what_a_task_printed_is_its_own_with_others_right_behind_it(
    client: orchestrator.Client, store: Store
) -> None:
    steps: list[Step] = [Step(f"quiet-{n}") for n in range(12)]
    steps += [(Teller if n % 3 else Step)(f"task-{n}") for n in range(24)]
    client.submit(Steps(steps), name="steps", kinds=("train",)).wait(40)
    told = {
        (entry.path or "", text)
        for entry in store.history.logs("steps", 1)
        for text in entry.text.splitlines()
    }
    tellers = [step.name for step in steps if isinstance(step, Teller)]
    assert told == {
        (f"steps/{name}", f"{name} {how}") for name in tellers for how in ("printed", "wrote")
    }


def test_what_a_long_task_prints_after_short_ones_is_read_while_it_runs(
    client: orchestrator.Client, store: Store, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    steps = [*(Step(f"short-{n}") for n in range(24)), Waiting("long", str(gate))]
    deployment = client.submit(Steps(steps), name="steps", kinds=("train",))
    wait_until(
        lambda: "".join(entry.text for entry in store.history.logs("steps", 1)).endswith(".\n"),
        description="what it has printed is stored",
    )
    gate.write_text("go on")
    deployment.wait(40)


def test_a_process_that_dies_takes_only_the_task_that_it_ran(
    client: orchestrator.Client, store: Store, tmp_path: Path
) -> None:
    steps: list[Step] = [Step(f"before-{n}") for n in range(12)]
    steps += [Dying("dying", str(tmp_path / "died")), *(Step(f"behind-{n}") for n in range(6))]
    client.submit(Steps(steps), name="steps", kinds=("train",)).wait(40)
    attempts = {task.path: task.attempt for task in store.tasks.of("steps", 1)}
    assert attempts.pop("steps/dying") == 2
    assert set(attempts.values()) == {1}


def test_a_process_that_has_run_many_tasks_is_replaced_with_more_waiting(
    client: orchestrator.Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_handle, "TASKS_PER_CHILD", 5)
    steps: list[Step] = [Numbered(f"step-{n}") for n in range(24)]
    client.submit(Steps(steps), name="steps", kinds=("train",)).wait(40)
    runs = Counter(entry.text for entry in store.history.logs("steps", 1))
    assert runs.total() == len(steps)
    assert max(runs.values()) <= 5


@pytest.fixture
def wide(redis_url: str, prefix: str, secret: str) -> Iterator[orchestrator.Client]:
    settings = Settings(redis_url=redis_url, prefix=prefix, secret=Secret(secret))
    with beside_an_agent(settings, slots=4) as client:
        yield client


def processes(store: Store, generation: int) -> int:
    return len({entry.text for entry in store.history.logs("steps", generation)})


def test_one_process_is_enough_for_tasks_that_are_known_to_be_over_soon(
    wide: orchestrator.Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known from the generation before, of which nobody knew, so that each first task had one."""
    for name in ("START_S", "PATIENCE_S"):
        monkeypatch.setattr(pool, name, 60.0)
    monkeypatch.setattr(prefetch, "SHORT_S", 3.0)
    steps: list[Step] = [Numbered(f"step-{n}") for n in range(8)]
    wide.submit(Steps(steps), name="steps", kinds=("train",)).wait(40)
    wide.submit(Steps(steps), name="steps", kinds=("train",)).wait(40)
    assert (processes(store, 1), processes(store, 2)) == (4, 1)


def test_tasks_that_were_short_once_and_are_long_now_run_side_by_side(
    wide: orchestrator.Client, tmp_path: Path
) -> None:
    short: list[Step] = [Step(f"step-{n}") for n in range(12)]
    wide.submit(Steps(short), name="steps", kinds=("train",)).wait(40)
    gates = [str(tmp_path / f"gate-{n}") for n in range(4)]
    for gate in gates:
        os.mkfifo(gate)
    long = [Step(f"step-{n}", gate) for n, gate in enumerate(gates)]
    deployment = wide.submit(Steps(long), name="steps", kinds=("train",))
    opened: dict[str, int] = {}

    def all_are_read() -> bool:
        for gate in set(gates) - opened.keys():
            # Nobody can open it for writing before somebody reads it.
            with contextlib.suppress(OSError):
                opened[gate] = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        return len(opened) == len(gates)

    wait_until(all_are_read, description="all four tasks have begun")
    for fd in opened.values():
        os.close(fd)
    deployment.wait(40)
