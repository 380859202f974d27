"""The keeper says what a renewal means for all that an agent holds."""

from __future__ import annotations

import time

import pytest

from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.keys import Keys
from rootward.orchestrator.store.records import AgentInfo
from rootward.orchestrator.store.store import Store
from rootward.worker.agent.heartbeat import Heartbeat, LeaseState
from tests.support.scenes import Scene
from tests.support.waiting import wait_until

LEASE_S = 30.0


class Told(list[tuple[LeaseState, str]]):
    def __call__(self, standing: LeaseState, agent_id: str) -> None:
        self.append((standing, agent_id))


def join(store: Store, agent_id: str) -> str:
    assert store.agents.join(AgentInfo(id=agent_id, worker="w"), round(LEASE_S * 1000)).known
    return agent_id


def test_a_lease_that_holds_is_no_news(store: Store) -> None:
    scene, told = Scene(store), Told()
    scene.submit({"train:a": []})
    keeper = Heartbeat(store, scene.agent, LEASE_S, told)
    assert keeper.run_once(time.monotonic()) == LEASE_S / 3
    assert told == []


def test_while_nothing_is_active_more_than_a_usual_lease_is_left_at_each_renewal(
    store: Store,
) -> None:
    scene = Scene(store)
    keeper = Heartbeat(store, scene.agent, LEASE_S, Told())
    pause_s = keeper.run_once(time.monotonic())
    assert LEASE_S / 3 < pause_s < keeper.lease_left_s - LEASE_S


def test_a_lease_is_longer_while_nothing_is_active_and_ends_that_when_roused(store: Store) -> None:
    scene = Scene(store)

    def lease_s() -> float:
        (agent,) = store.agents.all()
        return agent.lease_ms / 1000

    keeper = Heartbeat(store, scene.agent, LEASE_S, Told())
    keeper.start()
    try:
        wait_until(lambda: keeper.lease_left_s > LEASE_S, description="the lease is a longer one")
        assert lease_s() > LEASE_S
        scene.submit({"train:a": []})
        keeper.rouse()
        wait_until(lambda: lease_s() <= LEASE_S, description="it is one of the usual length")
        wait_until(lambda: keeper.lease_left_s <= LEASE_S, description="and known to be")
    finally:
        keeper.stop()


def test_a_lease_that_was_given_up_fences_the_incarnation_that_had_it(store: Store) -> None:
    told = Told()
    keeper = Heartbeat(store, join(store, "w-1"), LEASE_S, told)
    store.agents.leave("w-1")
    keeper.run_once(time.monotonic())
    keeper.run_once(time.monotonic())
    assert told == [(LeaseState.FENCED, "w-1")], "it is told once"
    keeper.rejoined(join(store, "w-2"))
    keeper.run_once(time.monotonic())
    assert told == [(LeaseState.FENCED, "w-1")]


def test_a_store_that_has_no_trace_of_an_agent_has_lost_its_data(store: Store) -> None:
    told = Told()
    join(store, "w-other")
    keeper = Heartbeat(store, "w-1", LEASE_S, told)
    keeper.run_once(time.monotonic())
    keeper.run_once(time.monotonic())
    assert told == [(LeaseState.EMPTIED, "w-1")], "it is told once"
    keeper.rejoined(join(store, "w-1"))
    keeper.run_once(time.monotonic())
    assert told == [(LeaseState.EMPTIED, "w-1")]


def test_a_store_that_knows_of_fewer_renewals_came_back_older(store: Store) -> None:
    told = Told()
    keeper = Heartbeat(store, join(store, "w-1"), LEASE_S, told)
    key, client = store.keys.agent("w-1"), store.clients.scripts
    keeper.run_once(time.monotonic())
    older = client.hget(key, "beats")
    keeper.run_once(time.monotonic())
    keeper.run_once(time.monotonic())
    assert told == []
    client.hset(key, "beats", older)
    keeper.run_once(time.monotonic())
    assert told == [(LeaseState.EMPTIED, "w-1")]


def test_once_woken_a_keeper_rests_again(store: Store) -> None:
    """A renewal in a busy loop would cost Redis and the worker a core each."""
    keeper, ran = Heartbeat(store, join(store, "w-1"), LEASE_S, Told()), []
    renew = keeper.run_once

    def run_once(now: float) -> float:
        ran.append(now)
        return renew(now)

    keeper.run_once = run_once  # type: ignore[method-assign]
    keeper.start()
    try:
        wait_until(lambda: len(ran) == 1, description="it renews at its start")
        keeper.rejoined("w-1")
        wait_until(lambda: len(ran) == 2, description="it renews when it is woken")
        with pytest.raises(AssertionError):
            wait_until(lambda: len(ran) > 2, description="it renews again", timeout=0.3)
    finally:
        keeper.stop()


def test_silence_is_told_at_seven_tenths_of_the_lease(
    tmp_path_factory: pytest.TempPathFactory, prefix: str
) -> None:
    nowhere = Clients(f"unix://{tmp_path_factory.mktemp('none')}/redis.sock")
    told = Told()
    keeper = Heartbeat(Store(nowhere, Keys(prefix=prefix)), "w-1", LEASE_S, told)
    now = time.monotonic()
    assert keeper.run_once(now + 0.6 * LEASE_S) < 1.0
    assert told == []
    keeper.run_once(now + 0.8 * LEASE_S)
    keeper.run_once(now + 0.9 * LEASE_S)
    assert told == [(LeaseState.UNHEARD, "w-1")]
    nowhere.close()


def test_stopping_twice_or_before_the_start_is_harmless(store: Store) -> None:
    keeper = Heartbeat(store, "w-1", LEASE_S, Told())
    keeper.stop()
    keeper.stop()
