"""How agents rest while nothing is active, and what ends that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rootward.orchestrator.store.records import GenerationBlob
from rootward.worker.agent.heartbeat import IDLE_LEASES, IDLE_SHARE
from tests.support.scenes import LEASE_MS, Scene

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

IDLE_MS = IDLE_LEASES * LEASE_MS


def test_a_lease_is_longer_only_while_nothing_is_active(store: Store) -> None:
    scene = Scene(store)
    assert store.agents.renew(scene.agent, LEASE_MS, idle_ms=IDLE_MS).is_idle
    (record,) = store.agents.all()
    assert LEASE_MS < record.lease_ms <= IDLE_MS
    scene.submit({"train:a": []})
    assert not store.agents.renew(scene.agent, LEASE_MS, idle_ms=IDLE_MS).is_idle
    (record,) = store.agents.all()
    assert record.lease_ms <= LEASE_MS


def test_what_an_idle_agent_claims_is_under_a_lease_of_the_usual_length(store: Store) -> None:
    """It may die before its next renewal."""
    scene = Scene(store)
    assert store.agents.renew(scene.agent, LEASE_MS, idle_ms=IDLE_MS).is_idle
    scene.submit({"train:a": []})
    scene.exchange()
    (record,) = store.agents.all()
    assert record.lease_ms > LEASE_MS, "it holds nothing yet"
    scene.claim()
    (record,) = store.agents.all()
    assert record.lease_ms <= LEASE_MS


def test_the_silence_of_agents_that_idle_gives_nobody_time_back(store: Store) -> None:
    """Else the dead would live as long as somebody renews seldom."""
    scene = Scene(store)
    client, sweep = store.clients.scripts, store.keys.sweep

    def renew_after(silence_ms: int) -> int:
        store.agents.renew("dead-1", 1)
        assert store.agents.renew(scene.agent, LEASE_MS, idle_ms=IDLE_MS).is_idle
        heard = int(client.hget(sweep, "heard") or 0)
        client.hset(sweep, mapping={"heard": heard - silence_ms, "swept": 0})
        assert store.agents.renew(scene.agent, LEASE_MS, idle_ms=IDLE_MS).is_idle
        return {record.info.id: record.lease_ms for record in store.agents.all()}["dead-1"]

    scene.join("dead-1")
    assert renew_after(IDLE_MS // 2) < LEASE_MS / 10
    assert renew_after(IDLE_MS) > LEASE_MS / 2, "nobody could renew for so long"
    scene.submit({"train:a": []})
    store.agents.renew(scene.agent, LEASE_MS, idle_ms=IDLE_MS)
    store.agents.renew("dead-1", 1)
    heard = int(client.hget(sweep, "heard") or 0)
    client.hset(sweep, mapping={"heard": heard - IDLE_MS // 2, "swept": 0})
    assert store.agents.sweep(LEASE_MS).lost_agents == (), "what is active is renewed often"


def test_no_pause_that_gives_nothing_back_outlasts_what_is_left_of_a_lease(store: Store) -> None:
    """Else agents that idle would be swept after it; and their own silence is no pause."""
    scene = Scene(store)
    assert store.agents.renew(scene.agent, LEASE_MS, idle_ms=IDLE_MS).is_idle
    quiet_ms = int(store.clients.scripts.hget(store.keys.sweep, "quiet") or 0)
    assert IDLE_SHARE * IDLE_MS < quiet_ms < (1 - IDLE_SHARE) * IDLE_MS


def test_what_makes_a_generation_active_rings(store: Store) -> None:
    """Agents rest while nothing is active, and look when the bell rings."""
    scene = Scene(store)
    scene.submit({"deploy:a": []}, services={"a": 1})
    claim = scene.claim()
    scene.put("a")
    scene.succeed(claim)
    store.deployments.stop("demo")
    ((record, _),) = store.registry.replicas("demo", 1)
    store.registry.drop("demo", 1, record.replica)
    assert store.deployments.active() == []
    cursors = store.agents.wait_bell(scene.agent, {}, 1).cursors
    assert store.deployments.resume("demo", 1)
    heard = store.agents.wait_bell(scene.agent, cursors, 1000)
    assert heard.rung, "no task comes back, but its replica is to"
    origin = GenerationBlob(tree=b"", plan=b"", makes_current=True, submission="s")
    lost = replace(record, name="lost", replica="r-b")
    assert store.registry.put(scene.agent, lost, restore=origin)
    assert store.agents.wait_bell(scene.agent, heard.cursors, 1000).rung
