"""What stays of generations that were replaced: their history, how long, and warm replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rootward.orchestrator.store.records import Retention
from tests.support.scenes import Scene

if TYPE_CHECKING:
    from rootward.orchestrator.store.records import DeploymentRecord
    from rootward.orchestrator.store.store import Store

HISTORY_S = 1000


def served(scene: Scene, number: int, **retention: int) -> None:
    """Deploy one generation with one ready replica, and a training that has changed something."""
    scene.submit(
        {"train:a": [], "deploy:a": ["train:a"]},
        services={"a": 1},
        makes_current=True,
        generation=number,
        retention=Retention(**retention),
        history_s=HISTORY_S,
    )
    scene.succeed(scene.claim(), states=[b"of a"])
    claim = scene.claim()
    assert scene.put("a", replica=f"r{number}", generation=number)
    assert scene.succeed(claim) == "accepted"


def end(scene: Scene, number: int) -> None:
    """Let the replica of a generation that stops be gone."""
    assert scene.state(generation=number) == "stopping"
    scene.store.registry.drop("demo", number, f"r{number}")


def record(store: Store) -> DeploymentRecord:
    found = store.deployments.get("demo")
    assert found is not None
    return found


def ttl(store: Store, number: int) -> set[int]:
    """Return the times to live of what is left of a generation; -1 for what stays."""
    client, keys = store.clients.scripts, store.keys
    job = store.tasks.of("demo", number)
    names = [keys.generation("demo", number), *(keys.job(each.job_id) for each in job)]
    names += [keys.part("demo", number, part) for part in ("plan", "tree", "states")]
    return {client.ttl(name) for name in names}


def returnable(store: Store) -> list[int]:
    found = store.deployments.returnable("demo", record(store).current)
    return [each.generation for each in found]


def test_what_was_current_can_be_gone_back_to_as_long_as_it_is_kept(store: Store) -> None:
    scene = Scene(store)
    for number in (1, 2):
        served(scene, number)
    end(scene, 1)
    assert returnable(store) == [1]
    assert all(HISTORY_S - 60 < left <= HISTORY_S for left in ttl(store, 1))
    one = store.deployments.generation("demo", 1)
    assert one is not None
    assert (one.was_ready, one.current_since is not None, one.logged) == (True, True, 1)


def test_what_lacks_anything_or_was_never_ready_can_not_be_gone_back_to(store: Store) -> None:
    scene = Scene(store)
    for number in (1, 2, 3, 4):
        served(scene, number)
    scene.submit({"deploy:a": []}, services={"a": 1}, makes_current=True, generation=5)
    scene.fail(scene.claim())
    scene.submit({"train:a": []}, generation=6)
    scene.run_all()
    assert returnable(store) == [3, 2, 1]
    store.clients.scripts.rpop(store.keys.part("demo", 3, "states"))
    store.clients.scripts.delete(store.keys.part("demo", 2, "tree"))
    assert returnable(store) == [1]


def test_the_last_that_were_current_are_kept_however_old(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1, keep=2)
    for number in (2, 3, 4):
        served(scene, number)
        end(scene, number - 1)
    assert record(store).keep == 2
    assert [ttl(store, number) == {-1} for number in (2, 3)] == [True, True]
    assert all(left <= 60 for left in ttl(store, 1))
    # What fails takes no place.
    scene.submit({"deploy:a": []}, services={"a": 1}, makes_current=True, generation=5)
    scene.fail(scene.claim())
    assert [ttl(store, number) == {-1} for number in (2, 3)] == [True, True]
    store.deployments.stop("demo", 4)
    end(scene, 4)
    # Nothing of the deployment lives any more: the time of what is kept begins.
    for number in (3, 4):
        assert all(HISTORY_S - 60 < left <= HISTORY_S for left in ttl(store, number))
    assert all(left <= 60 for left in ttl(store, 2))


def test_a_later_submission_can_end_the_keeping(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1, keep=3)
    served(scene, 2, keep=0)
    end(scene, 1)
    assert record(store).keep == 0
    assert all(0 < left <= HISTORY_S for left in ttl(store, 1))


def test_a_kept_generation_that_is_resumed_leaves_the_history(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1, keep=1)
    store.deployments.stop("demo", 1)
    end(scene, 1)
    assert store.deployments.resume("demo", 1)
    assert ttl(store, 1) == {-1}
    served(scene, 2)
    served(scene, 3)
    end(scene, 2)
    assert ttl(store, 2) == {-1}


def test_a_replaced_generation_stays_warm_and_is_switched_back_to_at_once(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, warm=1)
    assert (record(store).current, record(store).warm) == (2, (1,))
    assert [scene.state(generation=n) for n in (1, 2)] == ["ready", "ready"]
    assert not store.rollouts.switch("demo", 7, "no such")
    assert store.rollouts.switch("demo", 1, "by hand")
    assert store.rollouts.switch("demo", 1, "repeated")
    assert (record(store).current, record(store).warm) == (1, ())
    # The first was deployed without: what it replaces doesn't stay.
    assert scene.state(generation=2) == "stopping"
    assert not store.rollouts.switch("demo", 2, "it stops")
    assert record(store).current == 1


def test_a_switch_back_and_forth_keeps_both_warm(store: Store) -> None:
    scene = Scene(store)
    for number in (1, 2):
        served(scene, number, warm=1)
    for number, other in ((1, 2), (2, 1), (1, 2)):
        assert store.rollouts.switch("demo", number, "by hand")
        assert (record(store).current, record(store).warm) == (number, (other,))
    assert "generation.warm" in scene.events()
    assert "generation.current" in scene.events()


def test_no_more_stay_warm_than_were_asked_for(store: Store) -> None:
    scene = Scene(store)
    for number in (1, 2, 3, 4):
        served(scene, number, warm=2)
    assert record(store).warm == (2, 3)
    assert scene.state(generation=1) == "stopping"
    store.deployments.stop("demo", 3)
    assert record(store).warm == (2,)
    served(scene, 5)
    assert record(store).warm == ()
    assert [scene.state(generation=n) for n in (2, 4)] == ["stopping", "stopping"]


def test_what_takes_a_port_or_a_resource_does_not_stay_warm(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1, is_scarce=True)
    served(scene, 2, warm=1)
    assert (record(store).warm, scene.state(generation=1)) == ((), "stopping")


def test_a_warm_generation_that_lacks_replicas_is_not_switched_to(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, warm=1)
    store.registry.drop("demo", 1, "r1", "it died")
    assert scene.state(generation=1) == "degraded"
    assert not store.rollouts.switch("demo", 1, "by hand")
    assert record(store).current == 2
    assert scene.put("a", replica="again", generation=1)
    assert store.rollouts.switch("demo", 1, "by hand")


def test_stopping_the_deployment_stops_what_is_warm_too(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, warm=1)
    assert sorted(store.deployments.stop("demo")) == [1, 2]
    for number in (1, 2):
        end(scene, number)
    assert (record(store).warm, store.deployments.active()) == ((), [])
