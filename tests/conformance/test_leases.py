"""How agents live and die: leases, the sweep and its amnesty, owners, the lead."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.support.scenes import LEASE_MS, Scene, swept
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store


def test_a_server_that_forgets_its_scripts_again_and_again_is_told_them_with_the_call(
    store: Store,
) -> None:
    ending = threading.Event()
    client = store.clients.blocking

    def forget() -> None:
        while not ending.is_set():
            client.script_flush()

    thread = threading.Thread(target=forget)
    thread.start()
    try:
        scene = Scene(store)
        assert all(store.agents.renew(scene.agent, LEASE_MS).known for _ in range(300))
    finally:
        ending.set()
        thread.join()


def test_a_sweep_tells_when_the_next_can_find_something(store: Store) -> None:
    assert store.agents.sweep(LEASE_MS).due_ms is None
    store.clients.scripts.hdel(store.keys.sweep, "swept")
    scene = Scene(store)
    scene.join("other-1", 2 * LEASE_MS)
    first = store.agents.sweep(LEASE_MS).due_ms
    assert first is not None
    assert LEASE_MS / 2 < first <= LEASE_MS
    store.clients.scripts.zadd(store.keys.agents, {"other-1": 1})
    again = store.agents.sweep(LEASE_MS)
    assert again.lost_agents == (), "too soon after the last"
    assert again.due_ms is not None
    assert 0 <= again.due_ms <= 200


def test_who_sweeps_isnt_due_for_its_own_lease(store: Store) -> None:
    """While it sweeps it lives, and renews."""
    scene = Scene(store)
    assert store.agents.sweep(LEASE_MS, scene.agent).due_ms is None
    scene.join("other-1", LEASE_MS // 2)
    early = store.agents.sweep(LEASE_MS, scene.agent).due_ms
    assert early is not None
    assert LEASE_MS / 4 < early <= LEASE_MS / 2
    late = store.agents.sweep(LEASE_MS, "other-1").due_ms
    assert late is not None
    assert LEASE_MS / 2 < late <= LEASE_MS
    store.agents.renew(scene.agent, 1)
    assert wait_until(
        lambda: store.agents.sweep(LEASE_MS, scene.agent).lost_agents, description="its lease ends"
    ) == (scene.agent,), "it may be too late all the same"


def test_a_lease_taken_right_after_the_clock_jumped_back_holds(store: Store) -> None:
    """The amnesty moves what was written before the jump, and nothing else."""
    scene = Scene(store)
    client, sweep = store.clients.scripts, store.keys.sweep
    seconds, _ = client.time()
    ahead = 1000 * (seconds + 90)
    client.hset(sweep, "heard", ahead)
    client.zadd(store.keys.agents, {scene.agent: ahead + LEASE_MS})
    scene.join("new-1")
    client.hdel(sweep, "swept")
    assert store.agents.sweep(LEASE_MS).lost_agents == ()
    for agent in (scene.agent, "new-1"):
        ends = client.zscore(store.keys.agents, agent) - 1000 * seconds
        assert LEASE_MS - 5000 <= ends <= LEASE_MS + 5000


def test_what_is_claimed_right_after_the_clock_jumped_back_is_under_a_lease_that_holds(
    store: Store,
) -> None:
    """A claim ends the long lease of an idle agent, which isn't what the amnesty is to move."""
    scene = Scene(store)
    client, sweep = store.clients.scripts, store.keys.sweep
    assert store.agents.renew(scene.agent, LEASE_MS, idle_ms=2 * LEASE_MS).is_idle
    scene.submit({"train:a": []})
    seconds, _ = client.time()
    ahead = 1000 * (seconds + 90)
    client.hset(sweep, "heard", ahead)
    client.zadd(store.keys.agents, {scene.agent: ahead + 2 * LEASE_MS})
    scene.claim()
    client.hdel(sweep, "swept")
    assert store.agents.sweep(LEASE_MS).lost_agents == ()


def test_a_swept_agents_id_is_gone_for_ever(store: Store) -> None:
    scene = Scene(store)
    agent = scene.join("dead-1")
    swept(store, agent)
    assert not store.agents.renew(agent, LEASE_MS).known
    assert not scene.exchange(limit=1, agent=agent).known
    assert not scene.put("a", agent=agent)
    assert not store.agents.join(
        store.agents.all()[0].info.__class__(id=agent, worker="dead"), 1000
    ).known


def test_a_renewed_lease_is_never_swept(store: Store) -> None:
    scene = Scene(store)
    store.agents.sweep(LEASE_MS)
    assert store.agents.renew(scene.agent, LEASE_MS).known
    assert store.agents.sweep(LEASE_MS).lost_agents == ()
    (record,) = store.agents.all()
    assert 0 < record.lease_ms <= LEASE_MS


def test_after_a_pause_of_all_nobody_is_judged_by_that_time(store: Store) -> None:
    """A pause of Redis, or of everyone who sweeps, evicts nobody: leases get the time back."""
    scene = Scene(store)
    store.agents.sweep(LEASE_MS)
    store.agents.renew(scene.agent, 1)
    heard = int(store.clients.scripts.hget(store.keys.sweep, "heard") or 0)
    store.clients.scripts.hset(store.keys.sweep, mapping={"heard": heard - 60_000, "swept": 0})
    assert store.agents.sweep(LEASE_MS).lost_agents == ()
    (record,) = store.agents.all()
    assert 50_000 < record.lease_ms <= LEASE_MS


def test_a_short_lease_is_given_back_a_pause_that_longer_ones_survive(store: Store) -> None:
    """A pause of Redis of 1.9 s, of which a lease of 2 s that was half over would die."""
    scene = Scene(store)
    store.agents.sweep(2000)
    assert store.agents.renew(scene.agent, 2000).known
    client, keys = store.clients.scripts, store.keys
    heard = int(client.hget(keys.sweep, "heard") or 0)
    ends = client.zscore(keys.agents, scene.agent)
    assert ends is not None
    # As if all that was written had been written 1.9 s earlier, and a renewal a second before that.
    client.hset(keys.sweep, mapping={"heard": heard - 1900, "swept": 0})
    client.zadd(keys.agents, {scene.agent: ends - 2900})
    assert store.agents.sweep(2000).lost_agents == ()
    (record,) = store.agents.all()
    assert 0 < record.lease_ms <= 2000


def test_who_renews_first_after_a_pause_gives_the_others_their_time_back(store: Store) -> None:
    scene = Scene(store)
    scene.join("w-2")
    store.agents.sweep(LEASE_MS)
    store.agents.renew("w-2", 1)
    heard = int(store.clients.scripts.hget(store.keys.sweep, "heard") or 0)
    store.clients.scripts.hset(store.keys.sweep, mapping={"heard": heard - 60_000, "swept": 0})
    store.agents.renew(scene.agent, LEASE_MS)
    assert store.agents.sweep(LEASE_MS).lost_agents == ()
    assert {record.info.id for record in store.agents.all()} == {scene.agent, "w-2"}


def test_after_a_long_pause_a_lease_is_at_most_a_whole_one(store: Store) -> None:
    scene = Scene(store)
    store.agents.sweep(LEASE_MS)
    store.agents.renew(scene.agent, 1)
    store.clients.scripts.hset(store.keys.sweep, mapping={"heard": 1, "swept": 0})
    store.agents.sweep(LEASE_MS)
    (record,) = store.agents.all()
    assert record.lease_ms <= LEASE_MS


def test_a_deploy_goes_to_the_agent_that_prepared_it(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"prepare:a": [], "train:b": [], "deploy:a": ["train:b"]}, services={"a": 1})
    scene.join("warm-1")
    prepare = scene.claim(agent="warm-1")
    train = scene.claim()
    assert (prepare.task, train.task) == ("prepare:a", "train:b")
    record = store.deployments.generation("demo", 1)
    assert record is not None
    assert record.prepared == {"a": "warm-1"}
    scene.succeed(train)
    assert scene.exchange(limit=1).claims == ()
    assert scene.claim(agent="warm-1").task == "deploy:a"


def test_a_prepare_that_comes_too_late_is_skipped(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"deploy:a": [], "prepare:a": []}, services={"a": 1})
    assert set(scene.claim_all()) == {"deploy:a"}
    assert scene.states()["prepare:a"] == "skipped"


def test_a_failed_prepare_fails_nothing(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"prepare:a": [], "deploy:a": []}, services={"a": 1})
    claims = scene.claim_all()
    if "prepare:a" in claims:
        scene.fail(claims["prepare:a"])
    scene.put("a")
    scene.succeed(claims["deploy:a"])
    assert scene.state() == "ready"


def test_there_is_one_leader_at_a_time(store: Store) -> None:
    scene = Scene(store)
    scene.join("w-2")
    assert store.agents.lead(scene.agent, LEASE_MS)
    assert store.agents.lead(scene.agent, LEASE_MS)
    assert not store.agents.lead("w-2", LEASE_MS)
    store.agents.leave(scene.agent)
    assert store.agents.lead("w-2", LEASE_MS)
    assert not store.agents.lead("nobody-1", LEASE_MS)


def test_a_program_that_was_killed_is_noticed_by_its_lease(store: Store) -> None:
    scene = Scene(store)
    store.agents.own("program-1", LEASE_MS)
    scene.submit({"train:a": []}, owner="program-1")
    store.agents.sweep(LEASE_MS)
    store.agents.own("program-1", 1)
    wait_until(
        lambda: "demo@1" in store.agents.sweep(LEASE_MS).stopped,
        description="the owner's lease ends",
    )
    assert scene.state() == "stopped"


def test_a_sweep_tells_whether_anything_is_active(store: Store) -> None:
    scene = Scene(store)
    assert store.agents.sweep(LEASE_MS).is_idle
    scene.submit({"train:a": []})
    assert not store.agents.sweep(LEASE_MS).is_idle
    scene.run_all()
    assert store.agents.sweep(LEASE_MS).is_idle
