"""A store that has lost its data: who is still known, what is brought back, what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rootward.orchestrator.errors import IncompleteSubmission
from rootward.orchestrator.states import ReplicaState
from rootward.orchestrator.store.records import AgentInfo, GenerationBlob, ReplicaRecord
from tests.support.scenes import LEASE_MS, Scene

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

SERVED = GenerationBlob(
    tree=b"", plan=b"", makes_current=True, submission="served before", services={"a": 1, "b": 1}
)


def empty(store: Store) -> None:
    """Let the store lose all that is in it, and nothing that isn't its own."""
    client = store.clients.scripts
    for key in list(client.scan_iter(match=f"*{store.keys.prefix}*", count=1000)):
        client.delete(key)


def again(scene: Scene) -> AgentInfo:
    return AgentInfo(id=scene.agent, worker="w", queues=(scene.queue,))


def put(scene: Scene, origin: GenerationBlob | None = SERVED, **options: Any) -> bool | None:
    record = ReplicaRecord(
        **{
            "replica": "r-a",
            "name": "demo",
            "generation": 3,
            "path": "a",
            "agent_id": scene.agent,
            "worker": "w",
            "state": ReplicaState.READY,
            **options,
        }
    )
    return scene.store.registry.put(scene.agent, record, restore=origin)


def test_a_store_tells_an_agent_that_it_has_forgotten_from_one_that_is_gone(store: Store) -> None:
    scene = Scene(store)
    assert not store.agents.renew(scene.agent, LEASE_MS).is_forgotten
    empty(store)
    renewed, exchanged = store.agents.renew(scene.agent, LEASE_MS), scene.exchange()
    assert (renewed.known, renewed.is_forgotten) == (False, True)
    assert (exchanged.known, exchanged.is_forgotten) == (False, True)
    assert scene.put("a") is None
    assert store.agents.rejoin(again(scene), LEASE_MS, store.tasks.next_request()).known
    assert store.agents.renew(scene.agent, LEASE_MS).known
    store.agents.leave(scene.agent)
    renewed, exchanged = store.agents.renew(scene.agent, LEASE_MS), scene.exchange()
    assert (renewed.known, renewed.is_forgotten) == (False, False)
    assert (exchanged.known, exchanged.is_forgotten) == (False, False)
    assert scene.put("a") is False
    assert not store.agents.rejoin(again(scene), LEASE_MS, store.tasks.next_request()).known


def test_when_a_store_was_found_empty_is_kept_for_a_while(store: Store) -> None:
    scene = Scene(store)
    assert store.agents.emptied_at() is None
    empty(store)
    before = store.agents.now()
    store.agents.rejoin(again(scene), LEASE_MS, store.tasks.next_request())
    found = store.agents.emptied_at()
    assert found is not None
    assert before - 0.01 <= found <= store.agents.now()
    store.agents.rejoin(again(scene), LEASE_MS, store.tasks.next_request())
    assert store.agents.emptied_at() == found


def test_a_restored_replica_brings_back_its_generation(store: Store) -> None:
    scene = Scene(store)
    assert put(scene, None) is False
    assert put(scene)
    assert put(scene), "twice is harmless"
    assert scene.state(generation=3) == "degraded", "one of its services isn't back yet"
    assert put(scene, replica="r-b", path="b")
    deployment, record = store.deployments.get("demo"), store.deployments.generation("demo", 3)
    assert deployment is not None
    assert record is not None
    assert (deployment.current, deployment.latest) == (3, 3)
    assert (record.state, record.is_restored, dict(record.services)) == (
        "ready",
        True,
        {"a": 1, "b": 1},
    )
    assert (record.how, record.by, record.bundle) == ("restored", "", "")
    assert scene.events()[0] == "restored"
    assert "Redis had lost its data" in str(record.reason)
    store.registry.drop("demo", 3, "r-a")
    assert scene.state(generation=3) == "degraded"
    assert store.deployments.reserve("demo", "next").generation == 4


def test_what_was_never_current_is_brought_back_beside_what_was(store: Store) -> None:
    scene = Scene(store)
    part = GenerationBlob(tree=b"", plan=b"", makes_current=False, submission="a part")
    assert put(scene, part, generation=4, replica="r-part")
    assert put(scene)
    assert put(scene, SERVED, generation=2, replica="r-old")
    deployment = store.deployments.get("demo")
    assert deployment is not None
    assert (deployment.current, deployment.latest) == (3, 4)


def test_what_a_program_owned_still_ends_with_it(store: Store) -> None:
    scene = Scene(store)
    owned = GenerationBlob(
        tree=b"", plan=b"", makes_current=True, submission="s", owner="program-1"
    )
    assert put(scene, owned)
    assert store.agents.disown("program-1") == ("demo@3",)
    assert scene.state(generation=3) == "stopping"
    store.registry.drop("demo", 3, "r-a")


def test_what_was_deployed_anew_since_is_not_mixed_with_what_was_served_before(
    store: Store,
) -> None:
    scene = Scene(store)
    empty(store)
    store.agents.rejoin(again(scene), LEASE_MS, store.tasks.next_request())
    anew = store.deployments.reserve("demo", "anew").generation
    scene.submit({"deploy:a": []}, generation=anew, services={"a": 1})
    assert put(scene, generation=1) is False, "it has the number of another"
    assert put(scene, generation=3) is False
    assert store.registry.replicas("demo", 1) == []
    assert store.deployments.generation("demo", 3) is None


def test_a_submission_from_before_a_loss_of_data_is_not_stored_under_a_number_to_be_given_anew(
    store: Store,
) -> None:
    """Its call came late or twice; the number would be reserved by another."""
    scene = Scene(store)
    submission = scene.submission({"train:a": []}, "demo", 2)
    empty(store)
    store.agents.rejoin(again(scene), LEASE_MS, store.tasks.next_request())
    for reserved in (0, 1):
        with pytest.raises(IncompleteSubmission):
            store.deployments.create(submission)
        assert store.deployments.generation("demo", 2) is None
        assert store.deployments.reserve("demo", f"anew {reserved}").generation == reserved + 1
    store.deployments.create(submission)
    assert scene.claim().task == "train:a"


def test_what_an_older_store_says_that_an_agent_runs_is_queued_again(store: Store) -> None:
    """It came back as it was before the agent had ended it."""
    scene = Scene(store)
    scene.submit({"train:a": [], "deploy:a": []}, services={"a": 1})
    claims = scene.claim_all()
    scene.put("a")
    joined = store.agents.rejoin(again(scene), LEASE_MS, store.tasks.next_request())
    assert (joined.known, joined.replicas) == (True, ("demo@1/r-a",))
    assert scene.succeed(claims["train:a"]) == "stale"
    assert [claim.attempt for claim in scene.claim_all().values()] == [1, 1]


def test_a_request_from_before_a_loss_of_data_claims_nothing(store: Store) -> None:
    """It has no reader any more, so what it claimed would be run by nobody."""
    scene = Scene(store)
    late = store.tasks.next_request()
    empty(store)
    store.agents.rejoin(again(scene), LEASE_MS, store.tasks.next_request())
    scene.submit({"train:a": []})
    answer = store.scripts.run(
        "exchange",
        [store.keys.agent(scene.agent)],
        [scene.agent, late, 1, 1, scene.queue, 0, 0],
    )
    assert answer[3] == 0
    assert scene.claim().task == "train:a"
