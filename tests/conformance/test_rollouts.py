"""How generations take over: candidates judged, canaries that share, promoted or rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rootward.orchestrator.errors import PlanError
from rootward.orchestrator.store.records import Rollout
from tests.support.scenes import Scene

if TYPE_CHECKING:
    from rootward.orchestrator.store.records import DeploymentRecord
    from rootward.orchestrator.store.store import Store

SERVED = {"deploy:a": []}


def served(scene: Scene, number: int, **rollout: Any) -> None:
    """Deploy one generation with one ready replica."""
    scene.submit(
        SERVED,
        services={"a": 1},
        makes_current=True,
        generation=number,
        rollout=Rollout(**rollout),
    )
    claim = scene.claim()
    assert scene.put("a", replica=f"r{number}", generation=number)
    assert scene.succeed(claim) == "accepted"


def record(store: Store) -> DeploymentRecord:
    found = store.deployments.get("demo")
    assert found is not None
    return found


def reason(store: Store, number: int) -> tuple[str, str | None, str]:
    found = store.deployments.generation("demo", number)
    assert found is not None
    return str(found.state), found.reason, found.how


def test_a_candidate_waits_for_its_verdict_and_then_becomes_current(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, requires=("a >= 1", "a < 2"))
    found = store.deployments.generation("demo", 2)
    assert found is not None
    assert (found.rollout.requires, found.must_be_judged) == (("a >= 1", "a < 2"), True)
    assert (record(store).current, scene.state(generation=2)) == (1, "progressing")
    assert store.rollouts.judge("demo", 2, is_met=True, reason="a is 1.5")
    assert not store.rollouts.judge("demo", 2, is_met=False, reason="late")
    assert (record(store).current, scene.state(generation=2)) == (2, "ready")
    assert scene.state(generation=1) == "stopping"
    assert "requirements.met" in scene.events()


def test_a_candidate_that_is_refused_fails_and_what_is_current_serves_on(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, requires=("a >= 1",))
    assert store.rollouts.judge("demo", 2, is_met=False, reason="a is 0.5")
    assert reason(store, 2)[:2] == ("failed", "a is 0.5")
    assert (record(store).current, scene.state(generation=1)) == (1, "ready")
    # Resumed, it is judged again.
    assert store.deployments.resume("demo", 2)
    found = store.deployments.generation("demo", 2)
    assert found is not None
    assert found.must_be_judged


def test_nothing_is_judged_before_all_of_it_has_succeeded(store: Store) -> None:
    scene = Scene(store)
    scene.submit(
        {"deploy:a": [], "eval:a": ["deploy:a"]},
        services={"a": 1},
        makes_current=True,
        generation=1,
        rollout=Rollout(requires=("a >= 1",)),
    )
    claim = scene.claim()
    scene.put("a")
    scene.succeed(claim)
    assert not store.rollouts.judge("demo", 1, is_met=True, reason="too soon")
    scene.succeed(scene.claim())
    assert store.rollouts.judge("demo", 1, is_met=True, reason="now")
    assert record(store).current == 1


def test_a_canary_stands_beside_the_current_one_until_it_is_promoted(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, percent=12.5, bake_s=60.0, max_error_rate=0.05)
    found = store.deployments.generation("demo", 2)
    assert found is not None
    assert found.rollout == Rollout(percent=12.5, bake_s=60.0, max_error_rate=0.05)
    there = record(store)
    assert (there.current, there.canary, there.canary_percent) == (1, 2, 12.5)
    assert there.canary_since is not None
    assert [scene.state(generation=n) for n in (1, 2)] == ["ready", "ready"]
    assert [store.registry.serving("demo", n).canary for n in (1, 2)] == [2, 2]

    assert store.rollouts.promote("demo", 2, "by hand")
    assert store.rollouts.promote("demo", 2, "by hand") is False
    there = record(store)
    assert (there.current, there.canary, there.canary_since) == (2, None, None)
    assert reason(store, 1)[:2] == ("stopping", "replaced by demo@2")
    assert reason(store, 2) == ("ready", None, "canary promoted")
    assert {"canary.started", "canary.promoted"} <= set(scene.events())


def test_a_canary_that_is_rolled_back_stops_and_says_why(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, percent=10.0)
    assert store.rollouts.roll_back("demo", 2, "too many errors")
    assert not store.rollouts.roll_back("demo", 2, "too many errors")
    assert (record(store).current, record(store).canary) == (1, None)
    store.registry.drop("demo", 2, "r2")
    assert reason(store, 2) == ("stopped", "too many errors", "canary rolled back")
    assert scene.state(generation=1) == "ready"
    # The next may try.
    served(scene, 3, percent=10.0)
    assert record(store).canary == 3


def test_a_second_canary_and_one_without_a_current_generation_are_refused(store: Store) -> None:
    scene = Scene(store)
    with pytest.raises(PlanError, match="no current generation"):
        served(scene, 1, percent=10.0)
    served(scene, 1)
    served(scene, 2, percent=10.0)
    with pytest.raises(PlanError, match="a canary already, generation 2"):
        served(scene, 3, percent=10.0)
    assert store.deployments.generation("demo", 3) is None


def test_a_canary_that_lacks_replicas_is_not_promoted(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, percent=10.0)
    store.registry.drop("demo", 2, "r2", "it crashed")
    assert store.rollouts.promote("demo", 2, "by hand") is None
    assert (record(store).current, record(store).canary) == (1, 2)


def test_a_new_current_generation_replaces_both(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, percent=10.0)
    served(scene, 3)
    assert (record(store).current, record(store).canary) == (3, None)
    assert [scene.state(generation=n) for n in (1, 2, 3)] == ["stopping", "stopping", "ready"]


def test_the_canary_takes_over_when_what_is_current_is_stopped(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, percent=10.0)
    store.deployments.stop("demo", 1)
    assert (record(store).current, record(store).canary) == (2, None)
    assert scene.state(generation=2) == "ready"


def test_a_canary_becomes_current_when_nothing_is_left_to_share_with(store: Store) -> None:
    """What was current stopped while the canary was on its way."""
    scene = Scene(store)
    served(scene, 1)
    scene.submit(
        SERVED,
        services={"a": 1},
        makes_current=True,
        generation=2,
        rollout=Rollout(percent=10.0),
    )
    store.deployments.stop("demo", 1)
    claim = scene.claim()
    scene.put("a", replica="r2", generation=2)
    scene.succeed(claim)
    assert (record(store).current, record(store).canary) == (2, None)


def test_stopping_all_stops_the_canary_too(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, percent=10.0)
    store.deployments.stop("demo")
    assert [scene.state(generation=n) for n in (1, 2)] == ["stopping", "stopping"]
    for number in (1, 2):
        store.registry.drop("demo", number, f"r{number}")
    assert (record(store).current, record(store).canary) == (None, None)
    assert store.deployments.active() == []


def test_figures_are_kept_by_caller_while_it_is_the_canary(store: Store) -> None:
    scene = Scene(store)
    served(scene, 1)
    served(scene, 2, percent=10.0)
    assert store.rollouts.put_figures("demo", 2, "gateway-1", b"1")
    assert store.rollouts.put_figures("demo", 2, "gateway-1", b"2")
    assert store.rollouts.put_figures("demo", 2, "program", b"3")
    assert not store.rollouts.put_figures("demo", 1, "program", b"3")
    assert store.rollouts.figures("demo", 2) == {"gateway-1": b"2", "program": b"3"}
    store.rollouts.roll_back("demo", 2, "no")
    assert not store.rollouts.put_figures("demo", 2, "program", b"4")
