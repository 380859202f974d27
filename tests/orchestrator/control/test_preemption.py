"""Succession: what has to be replaced stop-then-start, and when it gives way."""

from __future__ import annotations

import pytest

from rootward.orchestrator.control.preemption import Successor, giving_way
from rootward.orchestrator.planning.graph import Service


def successor(service: Service, state: str = "queued", queued_at: float = 0.0) -> Successor:
    """Return the same service in a newer generation."""
    return Successor(service=service, state=state, queued_at=queued_at)


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_a_fixed_port_is_freed_once_the_replacement_is_next(state: str) -> None:
    """And stays free until the new generation is current."""
    old = Service(path="r/a", port=8000)
    assert giving_way([old], {"r/a": 1}, [successor(old, state)], [], 0.0) == {"r/a"}


@pytest.mark.parametrize("state", ["waiting", "failed", "skipped", "cancelled"])
def test_nothing_gives_way_too_early_or_for_nothing(state: str) -> None:
    """A service isn't stopped for a replacement that doesn't come."""
    old = Service(path="r/a", port=8000)
    assert giving_way([old], {"r/a": 1}, [successor(old, state)], [], 0.0) == frozenset()


def test_a_port_that_moves_to_another_module_is_freed_too() -> None:
    """It is the port that counts."""
    new = successor(Service(path="r/b", port=8000))
    assert giving_way([Service(path="r/a", port=8000)], {}, [new], [], 0.0) == {"r/a"}


def test_a_service_without_port_or_resources_never_gives_way() -> None:
    """Start-then-stop is the rule."""
    old = Service(path="r/a")
    assert giving_way([old], {"r/a": 1}, [successor(old)], [{}], 99.0) == frozenset()


def test_resources_that_can_be_had_twice_are_replaced_start_then_stop() -> None:
    """Two workers with one of them each are enough."""
    old = Service(path="r/a", resources={"gpu": 1.0})
    two = [{"gpu": 1.0}, {"gpu": 1.0}]
    assert giving_way([old], {"r/a": 1}, [successor(old)], two, 5.0) == frozenset()
    assert giving_way([old], {"r/a": 1}, [successor(old)], two[:1], 5.0) == {"r/a"}


def test_a_worker_without_the_resource_is_no_room() -> None:
    """Nor is one that has too little of it."""
    old = Service(path="r/a", resources={"gpu": 1.0})
    offers = [{"gpu": 1.0}, {}, {"cpu": 8.0}, {"gpu": 0.5}]
    assert giving_way([old], {"r/a": 1}, [successor(old)], offers, 5.0) == {"r/a"}


def test_a_replacement_that_waits_long_for_resources_gets_those_of_its_elder() -> None:
    """Somebody else may have taken the rest."""
    old = Service(path="r/a", resources={"gpu": 1.0})
    plenty = [{"gpu": 9.0}]
    assert giving_way([old], {"r/a": 1}, [successor(old)], plenty, 10.0) == frozenset()
    assert giving_way([old], {"r/a": 1}, [successor(old)], plenty, 10.1) == {"r/a"}
