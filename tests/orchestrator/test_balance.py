"""Balancing: the less busy of two, and ejection that never empties a service."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.balance import choose, usable


def test_of_two_replicas_the_less_busy_is_chosen() -> None:
    """Two are always compared, never one with itself."""
    draw = random.Random(1).randrange
    load = {"a": 3, "b": 1}
    assert {choose(["a", "b"], load, draw) for _ in range(50)} == {"b"}


def test_the_busiest_of_many_is_never_chosen() -> None:
    """Whatever it is compared with is better."""
    draw = random.Random(2).randrange
    load = {"a": 9, "b": 1, "c": 1}
    assert {choose(["a", "b", "c"], load, draw) for _ in range(200)} == {"b", "c"}


def test_a_replica_that_refused_is_left_out_for_a_while() -> None:
    """It comes back when its time is over."""
    assert usable(["a", "b"], {"a": 5.0}, 4.0) == ["b"]
    assert usable(["a", "b"], {"a": 5.0}, 5.0) == ["a", "b"]


def test_the_only_replica_is_never_left_out() -> None:
    """Trying it is better than trying nothing."""
    assert usable(["a"], {"a": 5.0}, 4.0) == ["a"]


KEYS = st.integers(0, 9)


@given(st.lists(KEYS, unique=True), st.dictionaries(KEYS, st.floats(0, 9)))
def test_at_least_half_stay_usable(keys: list[int], ejected: dict[int, float]) -> None:
    """And nothing that isn't ejected is left out."""
    left = usable(keys, ejected, 4.0)
    assert len(left) >= len(keys) - len(keys) // 2
    assert [key for key in keys if key in set(left)] == left
    assert all(key in left for key in keys if ejected.get(key, 0.0) <= 4.0)
