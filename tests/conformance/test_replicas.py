"""The registry: who may register, what a change tells, and what comes back after a loss of data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rootward.orchestrator.states import DeploymentState, ReplicaState
from tests.support.scenes import LEASE_MS, Scene

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootward.orchestrator.store.store import Store


def deployed(store: Store) -> Scene:
    scene = Scene(store)
    scene.submit({"deploy:a": []}, services={"a": 1})
    return scene


def test_a_replica_is_read_as_it_was_put_with_its_agents_lease(store: Store) -> None:
    scene = deployed(store)
    assert scene.put("a", signature=b"\x00\xff", pid=7, since=1.5, url="http://h:1")
    ((record, lease_ms),) = store.registry.replicas("demo", 1)
    assert (record.signature, record.pid, record.since) == (b"\x00\xff", 7, 1.5)
    assert record.state is ReplicaState.READY
    assert 0 < lease_ms <= LEASE_MS


def test_each_change_is_in_the_stream_once(store: Store) -> None:
    scene = deployed(store)
    after = store.registry.changes_end()
    scene.put("a", "starting")
    scene.put("a", "starting")
    scene.put("a", "ready")
    store.registry.drop("demo", 1, "r-a")
    assert not store.registry.drop("demo", 1, "r-a")
    changes = [change for change in store.registry.changes(after) if change.op != "current"]
    assert [change.op for change in changes] == ["put", "put", "drop"]
    assert changes[1].record is not None
    assert changes[1].record.state is ReplicaState.READY
    assert (changes[2].path, changes[2].replica) == ("a", "r-a")


def test_the_events_of_a_replica_tell_its_life(store: Store) -> None:
    scene = deployed(store)
    for state in ("starting", "ready", "unready"):
        scene.put("a", state)
    store.registry.drop("demo", 1, "r-a", "it crashed", state=ReplicaState.LOST)
    told = [event for event in store.history.events("demo") if event.event.startswith("replica.")]
    assert [event.event for event in told] == [
        "replica.starting",
        "replica.ready",
        "replica.unready",
        "replica.lost",
    ]
    assert (told[-1].reason, told[-1].path, told[-1].replica) == ("it crashed", "a", "r-a")


def test_another_agent_cannot_change_a_replica(store: Store) -> None:
    scene = deployed(store)
    scene.put("a")
    scene.join("w-2")
    assert not scene.put("a", "unready", agent="w-2")


def test_a_generation_that_has_ended_takes_no_new_replica(store: Store) -> None:
    scene = deployed(store)
    store.deployments.stop("demo")
    assert not scene.put("a")
    assert not scene.put("a", generation=9)


def test_a_stopping_generation_still_follows_the_replicas_that_it_has(store: Store) -> None:
    scene = deployed(store)
    scene.put("a")
    store.deployments.stop("demo")
    assert scene.put("a", "draining")
    assert scene.state() == "stopping"


def test_output_of_a_replica_lives_as_long_as_its_generation(store: Store) -> None:
    scene = deployed(store)
    scene.put("a")
    assert store.registry.log("demo", 1, "a", "r-a", "hello\n")
    assert store.registry.log("demo", 1, "a", "r-a", "hello\n", fd=2)
    lines = store.history.logs("demo", 1)
    assert [(line.replica, line.fd, line.text) for line in lines] == [
        ("r-a", 1, "hello\n"),
        ("r-a", 2, "hello\n"),
    ]
    store.deployments.stop("demo")
    store.registry.drop("demo", 1, "r-a")
    assert store.registry.log("demo", 1, "a", "r-a", "late\n")
    assert not store.registry.log("demo", 2, "a", "r-a", "never\n")


def test_a_replica_that_was_dropped_is_not_brought_back_by_a_late_call(store: Store) -> None:
    """Invariant 4: nobody would ever take it out again."""
    scene = Scene(store)
    scene.submit({"deploy:a": []}, services={"a": 1})
    assert scene.put("a")
    assert store.registry.drop("demo", 1, "r-a")
    assert not scene.put("a")
    assert scene.put("a", replica="another")


def test_a_generation_is_settled_with_exactly_what_is_wanted_and_all_of_it_ready(
    store: Store,
) -> None:
    scene = Scene(store)

    def is_settled() -> bool:
        record = store.deployments.generation("demo", 1)
        assert record is not None
        return record.is_settled

    scene.submit({"deploy:a": []}, services={"a": 1, "none": 0})
    claim = scene.claim()
    scene.put("a")
    assert not is_settled(), "it progresses"
    scene.succeed(claim)
    assert is_settled()
    scene.put("a", "unready")
    assert not is_settled()
    scene.put("a")
    scene.put("a", "starting", replica="another")
    assert not is_settled(), "one too many"
    store.registry.drop("demo", 1, "another")
    assert is_settled()
    store.deployments.scale("demo", 1, "a", 2)
    assert not is_settled()


def test_what_a_generation_serves_is_read_at_once(store: Store) -> None:
    """With it: what is current, so that a reader who guessed wrong knows which to read."""
    scene = Scene(store)
    scene.submit({"deploy:a": []}, services={"a": 1}, makes_current=True)
    scene.put("a")
    serving = store.registry.serving("demo", 1)
    assert (serving.current, serving.latest, serving.makes_current) == (None, 1, True)
    assert serving.state is DeploymentState.PENDING
    assert serving.services == {"a": 1}
    assert [replica.replica for replica in serving.replicas] == ["r-a"]
    scene.run_all()
    assert store.registry.serving("demo", 1).current == 1
    other = store.registry.serving("demo", 2)
    assert (other.current, other.latest, other.state) == (1, 1, None)
    assert (store.registry.serving("nobody", 1).latest, other.replicas) == (None, ())


def test_who_has_replicas_of_a_generation_hears_of_what_its_tasks_change(store: Store) -> None:
    """Once one is ready; who has none, and whose lease has ended, hears nothing."""
    scene = Scene(store)
    scene.submit({"train:b": [], "deploy:a": [], "eval:a": ["deploy:a"]}, services={"a": 3})
    other = scene.join("x-1")
    claims = scene.claim_all()
    before = {agent: store.agents.wait_bell(agent, {}, 1).cursors for agent in (scene.agent, other)}

    def heard(agent: str) -> tuple[Mapping[str, Any], ...]:
        commands = store.agents.wait_bell(agent, before[agent], 10).commands
        return tuple(command for command in commands if command["op"] == "states")

    scene.put("a", "starting")
    scene.succeed(claims["train:b"], states=[b"one"])
    assert heard(scene.agent) == ()
    scene.put("a")
    scene.put("a", replica="r2")
    scene.succeed(claims["deploy:a"])
    assert heard(scene.agent) == ()
    scene.succeed(scene.claim(), states=[b"two"])
    assert heard(scene.agent) == ({"op": "states", "name": "demo", "generation": 1},)
    assert heard(other) == ()
    assert store.tasks.states("demo", 1, 1) == [b"two"]
