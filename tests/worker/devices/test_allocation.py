"""Devices are given without overlap, whatever is asked for and given back in whatever order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootward.modules.needs.resources import UNIT
from rootward.worker.devices.allocation import DevicePool, Grant, allocate

if TYPE_CHECKING:
    from collections.abc import Mapping

NEEDS = st.dictionaries(
    st.sampled_from(["gpu", "tpu", "memory"]),
    st.one_of(st.integers(0, 5).map(float), st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 1.5, 2.7])),
    max_size=3,
)
POOLS = st.fixed_dictionaries(
    {
        "gpu": st.lists(st.sampled_from("abcdef"), unique=True).map(DevicePool.named),
        "tpu": st.integers(0, 4).map(float).map(DevicePool.counted),
        "memory": st.sampled_from([0.5, 3.5, 16.25]).map(DevicePool.counted),
    }
)


def shares_of(grants: list[Grant], name: str) -> dict[str, int]:
    """Return how much of each device is held, in millionths."""
    used: dict[str, int] = {}
    for grant in grants:
        for device, share in grant.shares.get(name, {}).items():
            used[device] = used.get(device, 0) + share
    return used


@given(POOLS, st.lists(st.tuples(NEEDS, st.integers(0, 20)), max_size=40))
@settings(max_examples=300)
def test_no_device_is_given_beyond_what_it_has(
    pools: Mapping[str, DevicePool], course: list[tuple[dict[str, float], int]]
) -> None:
    held: list[Grant] = []
    for needs, gone in course:
        grant = allocate(pools, held, needs)
        if grant is not None:
            held.append(grant)
            for name, shares in grant.shares.items():
                assert sum(shares.values()) == grant.amounts[name]
                assert (
                    sum(share == UNIT for share in shares.values()) == grant.amounts[name] // UNIT
                )
        for name, pool in pools.items():
            assert sum(each.amounts.get(name, 0) for each in held) <= pool.amount
            used = shares_of(held, name)
            assert set(used) <= set(pool.devices)
            assert all(0 < share <= UNIT for share in used.values())
        if gone < len(held):
            del held[gone]


@given(POOLS, NEEDS)
def test_what_is_there_and_free_is_always_given(
    pools: Mapping[str, DevicePool], needs: dict[str, float]
) -> None:
    enough = all(round(need * UNIT) <= pools[name].amount for name, need in needs.items())
    assert (allocate(pools, [], needs) is not None) is enough


def test_whole_devices_are_named_in_order_to_whom_they_are_given() -> None:
    pools = {"gpu": DevicePool.named(["4", "5", "GPU-a"]), "licence.x": DevicePool.counted(1)}
    grant = allocate(pools, [], {"gpu": 2, "licence.x": 1})
    assert grant is not None
    assert grant.environment == {
        "CUDA_VISIBLE_DEVICES": "4,5",
        "ROOTWARD_RESOURCE_GPU": "4,5",
        "ROOTWARD_RESOURCE_LICENCE_X": "0",
    }
    assert allocate(pools, [grant], {"gpu": 2}) is None
    other = allocate(pools, [grant], {"gpu": 1})
    assert other is not None
    assert other.environment["CUDA_VISIBLE_DEVICES"] == "GPU-a"


def test_fractions_share_a_device_and_leave_the_others_whole() -> None:
    pools = {"gpu": DevicePool.counted(2)}
    held: list[Grant] = []
    for _ in range(10):
        grant = allocate(pools, held, {"gpu": 0.1})
        assert grant is not None
        assert grant.environment["CUDA_VISIBLE_DEVICES"] == "0"
        held.append(grant)
    whole = allocate(pools, held, {"gpu": 1})
    assert whole is not None
    assert whole.environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert allocate(pools, [*held, whole], {"gpu": 0.1}) is None


def test_a_quantity_has_no_devices() -> None:
    for amount in (12.5, 4096.0):
        grant = allocate({"memory": DevicePool.counted(amount)}, [], {"memory": 2.5})
        assert grant is not None
        assert grant.environment == {}
        assert grant.amounts == {"memory": 2_500_000}


@pytest.mark.parametrize("needs", [{"tpu": 1.0}, {"gpu": 3.0}, {"gpu": 1.0, "tpu": 1.0}])
def test_what_is_not_all_there_is_not_given_at_all(needs: dict[str, float]) -> None:
    assert allocate({"gpu": DevicePool.counted(2)}, [], needs) is None
