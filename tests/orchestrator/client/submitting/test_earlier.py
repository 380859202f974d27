"""What a new generation takes over of an earlier one, on a real server with a scripted worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.modules.module import ModuleBase
from rootward.orchestrator.client.submitting.earlier import Earlier, read_earlier
from rootward.orchestrator.planning.carried import CantTakeOver
from rootward.orchestrator.planning.definition import Definition
from rootward.orchestrator.planning.submission import Order
from tests.support.scripted import ScriptedWorker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.orchestrator.client.client import Client


class Learns(ModuleBase):
    """A module that counts its trainings and prints what it knows where it is deployed."""

    def __init__(self, name: str, *children: ModuleBase, fails: bool = False) -> None:
        super().__init__(name=name)
        self.children = list(children)
        self.fails = fails
        self.trained: set[object] = set()

    def _get_train_tasks(self) -> object:
        return self.train

    def _get_deploy_tasks(self) -> object:
        return [lambda: print(f"{self.name} knows {self.trained}")]

    def train(self) -> None:
        if self.fails:
            raise ValueError(f"{self.name} can't")
        self.trained.add(len(self.trained) + 1)


@pytest.fixture
def client(redis_url: str, prefix: str) -> Iterator[Client]:
    with orchestrator.connect(redis_url, secret="shared", prefix=prefix) as client:
        yield client


@pytest.fixture
def worker(client: Client) -> Iterator[ScriptedWorker]:
    worker = ScriptedWorker(client)
    yield worker
    client.store.agents.leave(worker.info.id)


def tree(*, fails: bool = False) -> Learns:
    return Learns("root", Learns("a"), Learns("b", fails=fails))


def read(client: Client, generation: int = 1) -> Earlier:
    return read_earlier(client.store, client.signer, "root", generation)


def again(client: Client, *tasks: str) -> None:
    """Submit the tree anew, with those tasks taken over from generation 1."""
    definition = Definition.of(tree())
    plan = client.plan(tree(), ("train", "deploy"))
    taken = read(client).take_over(plan, tasks)
    order = Order(makes_current=True, kinds=("train", "deploy"), taken=taken)
    client.store_definition(definition, plan, order)


def test_a_task_that_is_taken_over_does_not_run_and_its_state_is_there(
    client: Client, worker: ScriptedWorker
) -> None:
    client.submit(tree(), kinds=("train", "deploy"))
    worker.work()
    again(client, "train:root/a")
    assert worker.work() == [
        "train:root/b", "train:root", "deploy:root/a", "deploy:root/b", "deploy:root",
    ]  # fmt: skip
    deployment = client.deployment("root")
    assert deployment.generation == 2
    printed = "".join(entry.text for entry in deployment.logs("deploy:root/a"))
    assert printed == "a knows {1}\n"


def test_states_are_carried_as_bytes_and_never_encoded_again(
    client: Client, worker: ScriptedWorker
) -> None:
    client.submit(tree(), kinds=("train", "deploy"))
    worker.work()
    again(client, "train:root/a", "train:root/b", "train:root")
    before, worker_ran = read(client).trained.entries, worker.work()
    assert worker_ran == ["deploy:root/a", "deploy:root/b", "deploy:root"]
    assert list(read(client, 2).trained.entries[: len(before)]) == list(before)


def test_taking_over_from_what_took_over_carries_on(client: Client, worker: ScriptedWorker) -> None:
    client.submit(tree(), kinds=("train", "deploy"))
    worker.work()
    again(client, "train:root/a", "train:root/b", "train:root")
    worker.work()
    taken = read(client, 2).take_over(client.plan(tree(), ("train",)))
    assert taken.tasks == {"train:root/a", "train:root/b", "train:root"}
    assert len(taken.states) == 3


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        ("states", "has lost states: of 3 entries 0 are left"),
        ("tree", "has lost its tree or its plan"),
        ("plan", "has lost its tree or its plan"),
    ],
)
def test_what_an_earlier_generation_has_lost_is_said(
    client: Client, worker: ScriptedWorker, loss: str, why: str
) -> None:
    client.submit(tree(), kinds=("train", "deploy"))
    worker.work()
    client.store.clients.scripts.delete(client.keys.part("root", 1, loss))
    with pytest.raises(CantTakeOver, match=why):
        again(client, "train:root/a")
    assert client.deployment("root").generation == 1


def test_nothing_is_taken_from_what_failed_or_is_unknown(
    client: Client, worker: ScriptedWorker
) -> None:
    client.submit(tree(fails=True), kinds=("train", "deploy"))
    worker.work()
    with pytest.raises(CantTakeOver, match="root@1 failed: train:root/b failed"):
        read(client)
    with pytest.raises(CantTakeOver, match="root@7 is gone or never was: kept are 1"):
        read(client, 7)
    client.submit(tree())
    with pytest.raises(CantTakeOver, match="root@2 is pending and was never ready"):
        read(client, 2)
