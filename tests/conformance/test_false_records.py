"""Records that somebody with access to Redis has written: nobody follows them, and they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.states import DeploymentState
from rootward.orchestrator.store.records.registry import pack_replica
from tests.support.scenes import Scene

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

GARBAGE = [
    b"",
    b"\n",
    b"ready",
    b"ready nobody-1 a\nno record",
    b"\xff\xfe\n\x81\xa1a",
    b"ready  a\n",
]


def serving(store: Store) -> Scene:
    scene = Scene(store)
    scene.submit({"deploy:a": []}, services={"a": 1})
    scene.run_all()
    assert scene.put("a")
    return scene


def write(store: Store, replica: str, value: bytes) -> None:
    store.clients.scripts.hset(store.keys.part("demo", 1, "replicas"), replica, value)


def ready(store: Store) -> tuple[str, dict[str, int]]:
    generation = store.deployments.generation("demo", 1)
    assert generation is not None
    return generation.state, dict(generation.ready)


@pytest.mark.parametrize("value", GARBAGE)
def test_what_cannot_be_read_keeps_nobody_from_the_rest(store: Store, value: bytes) -> None:
    serving(store)
    write(store, "false", value)
    assert [each.replica for each in store.registry.serving("demo", 1).replicas] == ["r-a"]
    assert [each.replica for each, _ in store.registry.replicas("demo", 1)] == ["r-a"]
    assert store.registry.strays("demo", 1) == ["false"]
    assert not store.registry.drop("demo", 1, "false") or value.startswith(b"ready nobody")


def test_a_record_is_read_only_while_its_agent_has_a_lease(store: Store) -> None:
    """One that was kept, and written back when its worker is long dead, leads nowhere."""
    scene = serving(store)
    kept = pack_replica(scene.record("a", replica="dead", agent="gone-1"))
    write(store, "dead", kept)
    assert [each.replica for each in store.registry.serving("demo", 1).replicas] == ["r-a"]
    assert store.registry.strays("demo", 1) == ["dead"]
    write(store, "other", pack_replica(scene.record("a")))
    assert sorted(store.registry.strays("demo", 1)) == ["dead", "other"]


@pytest.mark.parametrize("value", [*GARBAGE, b"starting demo-2 a\n", None])
def test_a_record_that_was_written_over_is_written_again_and_counted_once(
    store: Store, value: bytes | None
) -> None:
    scene = serving(store)
    record = scene.record("a")
    assert ready(store) == (DeploymentState.READY, {"a": 1})
    if value is None:
        store.clients.scripts.hdel(store.keys.part("demo", 1, "replicas"), "r-a")
    else:
        write(store, "r-a", value)
    assert store.registry.mend(record)
    assert not store.registry.mend(record)
    assert store.registry.packed("demo", 1) == {"r-a": pack_replica(record)}
    assert ready(store) == (DeploymentState.READY, {"a": 1})
    assert store.registry.drop("demo", 1, "r-a")
    assert not store.registry.mend(record), "it has gone meanwhile"
    assert ready(store) == (DeploymentState.DEGRADED, {"a": 0})


def test_a_false_record_is_taken_out_without_a_trace_in_the_counts(store: Store) -> None:
    scene = serving(store)
    write(store, "false", pack_replica(scene.record("a", replica="false")))
    after = store.registry.changes_end()
    assert store.registry.take_out("demo", 1, "false")
    assert not store.registry.take_out("demo", 1, "false")
    assert ready(store) == (DeploymentState.READY, {"a": 1})
    assert [(c.op, c.replica) for c in store.registry.changes(after)] == [("drop", "false")]


def test_a_change_that_cannot_be_read_is_a_change_of_nothing(store: Store) -> None:
    scene = serving(store)
    after = store.registry.changes_end()
    for fields in ({"op": "put"}, {"op": "put", "name": "demo", "gen": "x"}, {b"\xff": b"\xff"}):
        store.clients.scripts.xadd(store.keys.changes, fields)
    scene.put("a", "unready")
    assert [change.op for change in store.registry.changes(after)] == ["", "", "", "put"]
