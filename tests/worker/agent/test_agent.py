"""An agent in a program: it starts, runs, is quiet and stops, in any order that makes sense."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.modules import ModuleBase
from rootward.orchestrator.errors import MissingSecret, NoRedis, WrongSecret
from rootward.orchestrator.settings import Secret, Settings
from rootward.worker import Agent
from rootward.worker.work.identity import BadWorkerName
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rootward.orchestrator.store.store import Store


class Trained(ModuleBase):
    def _get_train_tasks(self) -> Callable[[], None]:
        def train() -> None:
            self.weight = 7

        return train


@pytest.fixture
def settings(redis_url: str, prefix: str, secret: str) -> Settings:
    return Settings(redis_url=redis_url, prefix=prefix, secret=Secret(secret), lease_seconds=5.0)


def test_a_program_can_start_and_stop_one(
    settings: Settings, store: Store, secret: str, prefix: str
) -> None:
    agent = Agent(settings=settings, name="mine", slots=1)
    agent.start()
    agent.start()
    try:
        assert [each.info.worker for each in store.agents.all()] == ["mine"]
        with orchestrator.connect(settings.redis_url, secret=secret, prefix=prefix):
            tree = Trained(name="tree")
            tree.update()
            assert tree.weight == 7
    finally:
        agent.stop(5)
    agent.stop(5)
    assert store.agents.all() == []


def test_a_quiet_one_takes_nothing_and_says_so(
    settings: Settings, store: Store, secret: str, prefix: str
) -> None:
    agent = Agent(settings=settings, slots=1)
    agent.start()
    try:
        agent.quiet()
        wait_until(
            lambda: [each.info.state for each in store.agents.all()] == ["quiet"],
            description="it says that it is quiet",
        )
        with orchestrator.connect(settings.redis_url, secret=secret, prefix=prefix) as client:
            deployment = client.submit(Trained(name="tree"), name="tree")
            with pytest.raises(TimeoutError):
                deployment.wait(0.3)
            deployment.cancel()
    finally:
        agent.stop(5)


SLOW_PARENT = """
import os, time
from rootward import ModuleBase, ServerModule

def be_late():
    # The child of a fork goes on, while the process that forked it is late to tell.
    os.register_at_fork(after_in_parent=lambda: time.sleep(2))

class Late:
    def __reduce__(self):
        return be_late, ()

class Pid(ModuleBase):
    late = None
    def forward(self):
        return os.getpid()

pid = Pid()
pid.late = Late()
tree = ServerModule(pid, name='tree')
"""


def test_a_replica_is_registered_with_its_process_whoever_tells_of_it_first(
    settings: Settings, store: Store, secret: str, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(SLOW_PARENT)
    agent = Agent(settings=settings, slots=1)
    agent.start()
    try:
        with orchestrator.connect(settings.redis_url, secret=secret, prefix=prefix) as client:
            client.submit(f"{tmp_path}/slow.py:tree", name="tree").wait(20)
            [(replica, _)] = store.registry.replicas("tree", 1)
            assert replica.pid == client.gateway.call("tree")
    finally:
        agent.stop(5)


CROWDED = """
import errno, itertools, os
from rootward import ModuleBase, ServerModule

def crowd():
    # In the process that forks slots and replicas, which are then refused every other time.
    fork, calls = os.fork, itertools.count()
    def refuse():
        if next(calls) % 2 == 0:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return fork()
    os.fork = refuse

class Crowd:
    def __reduce__(self):
        return crowd, ()

class Pid(ModuleBase):
    crowd = None
    def _get_train_tasks(self):
        return int
    def forward(self):
        return os.getpid()

pid = Pid()
pid.crowd = Crowd()
tree = ServerModule(pid, name='tree')
"""


def test_what_the_machine_has_no_room_for_goes_back_to_its_queue_uncounted(
    settings: Settings, store: Store, secret: str, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "crowded.py").write_text(CROWDED)
    agent = Agent(settings=settings, slots=1)
    agent.start()
    try:
        with orchestrator.connect(settings.redis_url, secret=secret, prefix=prefix) as client:
            client.submit(f"{tmp_path}/crowded.py:tree", name="tree", retries=0).wait(30)
            tasks = {task.id: task for task in store.tasks.of("tree", 1)}
            for task in (tasks["train:tree/m"], tasks["deploy:tree"]):
                assert (str(task.state), task.attempt) == ("succeeded", 1)
            assert client.gateway.call("tree") > 0
    finally:
        agent.stop(5)


def test_one_that_was_stopped_first_never_starts(settings: Settings, store: Store) -> None:
    agent = Agent(settings=settings)
    agent.stop()
    agent.start()
    assert agent.run()
    assert store.agents.all() == []


def test_a_worker_with_another_secret_than_those_that_live_joins_nothing(
    settings: Settings, store: Store
) -> None:
    first = Agent(settings=settings, slots=1)
    first.start()
    foreign = replace(settings, secret=Secret("another secret, which no worker has"))
    try:
        with pytest.raises(WrongSecret, match="set the same ROOTWARD_SECRET"):
            Agent(settings=foreign).run()
        assert [each.info.worker for each in store.agents.all()] == [first.name]
    finally:
        first.stop(5)
    # Nobody lives any more who has the first one.
    second = Agent(settings=foreign, slots=1)
    second.start()
    second.stop(5)


def test_what_is_missing_is_said_before_anything_starts(settings: Settings) -> None:
    with pytest.raises(NoRedis, match="REDIS_URL"):
        Agent(settings=Settings(secret=settings.secret))
    with pytest.raises(MissingSecret, match="token_hex"):
        Agent(settings=Settings(redis_url=settings.redis_url))
    with pytest.raises(ValueError, match="at least one"):
        Agent(settings=settings, slots=0)
    with pytest.raises(BadWorkerName, match="two words"):
        Agent(settings=settings, name="two words")
