"""The controller and what takes over: candidates judged, canaries that bake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward.modules.module import ModuleBase
from rootward.orchestrator.errors import DeploymentFailed, PlanError
from rootward.orchestrator.rollout.counting import Pair, pack_pair
from rootward.orchestrator.rollout.tally import CallTally

if TYPE_CHECKING:
    from rootward.orchestrator.client.client import Client
    from rootward.orchestrator.control.controller import Controller
    from tests.support.scripted import ScriptedWorker


class Scored(ModuleBase):
    """A served module that is evaluated."""

    serves = True
    env = None
    startup_timeout = 5.0
    repeatable = True
    exclusive = False
    replicas = 1
    port: int | None = None
    resources: dict[str, float] | None = None

    def __init__(self, score: float, port: int | None = None) -> None:
        super().__init__(name="s")
        self.score, self.port = score, port

    def _get_eval_tasks(self) -> object:
        return self.evaluate

    def evaluate(self) -> None:
        self.eval_result = self.score


def counted(calls: int, errors: int) -> CallTally:
    tally = CallTally()
    for number in range(calls):
        tally.observe(0.01, is_error=number < errors)
    return tally


def numbers(client: Client) -> tuple[int | None, int | None]:
    record = client.store.deployments.get("s")
    assert record is not None
    return record.current, record.canary


def test_a_candidate_is_judged_by_its_own_evaluation_and_by_that_of_the_current_one(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    client.submit(Scored(0.8))
    worker.work()
    controller.run_once(1.0)
    worse = client.submit(Scored(0.7), require=["s >= current - 0.05"])
    worker.work()
    assert worse.status().state == "progressing"
    controller.run_once(2.0)
    with pytest.raises(DeploymentFailed, match=r"s is 0\.7, current is 0\.8"):
        worse.wait(5)
    assert numbers(client) == (1, None)
    better = client.submit(Scored(0.78), require="s >= current - 0.05")
    worker.work()
    controller.run_once(3.0)
    better.wait(5)
    assert numbers(client) == (3, None)


def test_a_requirement_that_somebody_spoilt_in_redis_lets_nothing_through(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    deployment = client.submit(Scored(0.8), require=["s >= 0.5"])
    key = client.keys.generation("s", 1)
    client.store.clients.scripts.hset(key, "requires", "anything goes")
    worker.work()
    controller.run_once(1.0)
    with pytest.raises(DeploymentFailed, match="can't be judged: 'anything goes'"):
        deployment.wait(5)


@pytest.mark.parametrize(
    ("errors", "how", "canary", "current"),
    [(0, "canary promoted", None, 2), (40, "canary rolled back", None, 1), (1, "canary", 2, 1)],
)
def test_a_canary_that_has_baked_is_promoted_or_rolled_back_by_what_was_counted(
    errors: int,
    how: str,
    canary: int | None,
    current: int,
    *,
    client: Client,
    worker: ScriptedWorker,
    controller: Controller,
) -> None:
    client.submit(Scored(0.8))
    worker.work()
    client.submit(Scored(0.8), canary=10, bake=0.001)
    worker.work()
    controller.run_once(1.0)
    assert numbers(client) == (1, 2)
    figures = pack_pair(Pair(counted(40, errors), counted(400, 0)))
    client.store.rollouts.put_figures("s", 2, "gateway", figures)
    controller.run_once(2.0)
    assert numbers(client) == (current, canary)
    entry = client.history("s")[0]
    assert entry.how == how
    if how == "canary rolled back":
        assert "40 of its 40 calls failed" in (client.deployment("s", 2).status().reason or "")


def test_without_a_bake_time_and_a_limit_a_canary_waits_for_a_person(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    client.submit(Scored(0.8))
    worker.work()
    canary = client.submit(Scored(0.8), canary=10)
    worker.work()
    figures = pack_pair(Pair(counted(400, 400), counted(400, 0)))
    client.store.rollouts.put_figures("s", 2, "gateway", figures)
    controller.run_once(1.0)
    assert numbers(client) == (1, 2)
    assert client.promote("s").generation == 2
    assert numbers(client) == (2, None)
    with pytest.raises(PlanError, match="s has no canary to promote"):
        canary.promote()


def test_what_can_not_be_is_refused_before_anything_is_stored(
    client: Client, worker: ScriptedWorker
) -> None:
    def refused(says: str, **wishes: float) -> None:
        port = 8123 if says == "a port of its own" else None
        with pytest.raises(PlanError, match=says):
            client.submit(Scored(0.8, port), **wishes)  # type: ignore[arg-type]

    refused("no current generation", canary=10)
    assert client.deployments() == []
    client.submit(Scored(0.8))
    worker.work()
    for percent in (0, 100, -5, float("nan")):
        refused("between 0 and 100", canary=percent)
    refused("bake is for a canary", bake=10)
    refused("can't bake for 0 s", canary=10, bake=0)
    refused("no rate of errors", canary=10, max_error_rate=5)
    refused("a port of its own", canary=10)
    client.submit(Scored(0.8), canary=10)
    worker.work()
    refused("s has a canary already, s@2", canary=20)
    with pytest.raises(PlanError, match="whole of s"):
        client.submit(Scored(0.8), kinds=["eval"], require=["s > 0"])
    with pytest.raises(PlanError, match="s@1 is no canary, s@2 is"):
        client.deployment("s", 1).promote()
    assert [each.generation for each in client.history("s")] == [2, 1]
