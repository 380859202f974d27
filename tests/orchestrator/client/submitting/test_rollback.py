"""Going back to an earlier generation, on a real server with a scripted worker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.modules.module import ModuleBase
from rootward.modules.server import ServerModule
from rootward.orchestrator.errors import PlanError, UnknownDeployment
from tests.support.scripted import ScriptedWorker
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.orchestrator.client.client import Client


class Model(ModuleBase):
    """A model that learns what it is given."""

    def __init__(self, lesson: str) -> None:
        super().__init__(name="model")
        self.lesson, self.learnt = lesson, ""

    def _get_train_tasks(self) -> object:
        return self.train

    def _get_eval_tasks(self) -> object:
        return self.judge

    def train(self) -> None:
        if self.lesson == "bad":
            raise ValueError("it can't be learnt")
        self.learnt = self.lesson

    def judge(self) -> None:
        self.eval_result = self.learnt

    def forward(self) -> str:
        return self.learnt


@pytest.fixture
def client(redis_url: str, prefix: str) -> Iterator[Client]:
    with orchestrator.connect(redis_url, secret="shared", prefix=prefix) as client:
        yield client


@pytest.fixture
def worker(client: Client) -> Iterator[ScriptedWorker]:
    with ScriptedWorker(client) as worker:
        yield worker
        stop(client)


def stop(client: Client) -> None:
    """Stop all, and take the replicas away as their workers would."""
    client.store.deployments.stop("app")
    for name, number in client.store.deployments.active():
        for replica, _ in client.store.registry.replicas(name, number):
            client.store.registry.drop(name, number, replica.replica)
    assert client.store.deployments.active() == []


def deploy(client: Client, *lessons: str, keep_warm: int = 0) -> None:
    """Deploy one generation after the other, each with another lesson."""
    client.settings = replace(client.settings, keep_warm=keep_warm)
    for lesson in lessons:
        client.submit(ServerModule(Model(lesson)), name="app").wait(30, progress=False)


def current(client: Client) -> int | None:
    record = client.store.deployments.get("app")
    assert record is not None
    return record.current


def how(client: Client) -> list[tuple[int, str, bool]]:
    found = client.history("app")
    return [(each.generation, each.how, each.can_roll_back) for each in found]


def test_the_one_before_comes_back_as_a_new_generation_without_training(
    client: Client, worker: ScriptedWorker
) -> None:
    deploy(client, "one", "two")
    deployment = client.rollback("app").wait(30, progress=False)
    assert (deployment.id, current(client)) == ("app@3", 3)
    status = deployment.status()
    assert {task.id: task.attempt for task in status.tasks if task.kind in {"train", "eval"}} == {
        "train:app/model": 0,
        "eval:app/model": 0,
    }
    assert [each.result for each in status.evaluations] == ["one"]
    assert how(client) == [(3, "rollback", False), (2, "deploy", True), (1, "deploy", True)]


def test_a_rollback_of_a_rollback_brings_back_what_it_replaced(
    client: Client, worker: ScriptedWorker
) -> None:
    deploy(client, "one", "two")
    for expected in ("one", "two", "one"):
        status = client.rollback("app").wait(30, progress=False).status()
        assert [each.result for each in status.evaluations] == [expected]
    assert current(client) == 5


def test_any_kept_generation_can_be_chosen(client: Client, worker: ScriptedWorker) -> None:
    deploy(client, "one", "two", "three")
    status = client.rollback("app", to=1).wait(30, progress=False).status()
    assert [each.result for each in status.evaluations] == ["one"]
    assert client.history("app")[0].source == 1


def test_what_can_not_come_back_is_said_and_nothing_is_changed(
    client: Client, worker: ScriptedWorker
) -> None:
    deploy(client, "one")
    with pytest.raises(PlanError, match="app has no earlier generation to go back to"):
        client.rollback("app")
    failed = client.submit(ServerModule(Model("bad")), name="app")
    wait_until(lambda: failed.status().state == "failed", description="it has failed")
    client.submit(Model("part"), name="app", kinds=("train",)).wait(30, progress=False)
    deploy(client, "two")
    client.store.clients.scripts.delete(client.keys.part("app", 1, "states"))
    for to, why in (
        (4, "app@4 is current already"),
        (2, "app@2 failed: train:app/model failed"),
        (3, "app@3 was no deployment of the whole tree"),
        (9, "app@9 is gone or never was: kept are 4, 3, 2, 1"),
        (1, "app@1 has lost states: of "),
        (None, "app has no earlier generation to go back to"),
    ):
        with pytest.raises(PlanError, match=why):
            client.rollback("app", to=to)
    with pytest.raises(UnknownDeployment):
        client.rollback("apq")
    assert (current(client), client.deployment("app").generation) == (4, 4)
    record = client.store.deployments.get("app")
    assert record is not None
    assert client.store.clients.scripts.hget(client.keys.name("app"), "reserved") == b"4"


def test_code_that_is_gone_is_said_and_nothing_is_changed(
    client: Client, worker: ScriptedWorker
) -> None:
    deploy(client, "one", "two")
    bundle = client.history("app")[1].digest
    assert bundle is not None
    client.store.clients.scripts.delete(client.keys.bundle(bundle))
    with pytest.raises(PlanError, match="the code of an earlier app"):
        client.rollback("app", to=1)
    assert (current(client), client.deployment("app").generation) == (2, 2)


def test_one_that_is_warm_is_switched_to_and_no_generation_is_made(
    client: Client, worker: ScriptedWorker
) -> None:
    deploy(client, "one", "two", keep_warm=1)
    assert client.rollback("app").id == "app@1"
    assert (current(client), client.deployment("app").generation) == (1, 2)
    # The one before is the one that it has replaced, whatever their numbers are.
    for expected in ("app@2", "app@1", "app@2"):
        assert client.rollback("app").id == expected
    assert client.rollback("app", to=1).id == "app@1"
    assert (current(client), client.deployment("app").generation) == (1, 2)


def test_a_stopped_deployment_comes_back_with_what_was_current(
    client: Client, worker: ScriptedWorker
) -> None:
    deploy(client, "one", "two")
    stop(client)
    assert current(client) is None
    status = client.rollback("app").wait(30, progress=False).status()
    assert [each.result for each in status.evaluations] == ["two"]


def test_a_canary_is_taken_back_and_not_gone_back_to(
    client: Client, worker: ScriptedWorker
) -> None:
    deploy(client, "one")
    client.submit(ServerModule(Model("two")), name="app", canary=10).wait(30, progress=False)
    with pytest.raises(PlanError, match="app@2 is the canary"):
        client.rollback("app", to=2)
    assert client.rollback("app").id == "app@1"
    record = client.store.deployments.get("app")
    assert record is not None
    assert (record.current, record.canary) == (1, None)
