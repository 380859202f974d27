"""Which devices a task or replica is given: a pure function of what there is and what is held.

A pool is an amount of one resource, with a name for each device where it is counted in devices. A
whole device belongs to one holder; shares of one that add up to no more than it belong to several.
A share goes to the device that has the least left for it, so that others stay whole. What always
holds: no device is given beyond what it has, and either all that is needed is given or nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rootward.modules.needs.resources import UNIT, millionths, variable_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GPU = "gpu"
MOST_DEVICES = 1024
"""A larger amount is a quantity (of memory, of licences), whose parts have no names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePool:
    """All that a worker has of one resource, in millionths; `devices` is empty for a quantity."""

    amount: int
    devices: tuple[str, ...] = ()

    @classmethod
    def counted(cls, amount: float) -> DevicePool:
        """Return the pool of an amount: devices by number when it is whole and not too large."""
        total = millionths(amount)
        whole, rest = divmod(total, UNIT)
        is_counted = not rest and whole <= MOST_DEVICES
        return cls(amount=total, devices=tuple(map(str, range(whole))) if is_counted else ())

    @classmethod
    def named(cls, devices: Iterable[str]) -> DevicePool:
        """Return the pool of these devices."""
        names = tuple(devices)
        return cls(amount=len(names) * UNIT, devices=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one holder was given, in millionths: amounts by resource, shares by device of it."""

    amounts: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that name the devices to the process that holds them."""
        told = {name: ",".join(shares) for name, shares in self.shares.items()}
        variables = {variable_of(name): devices for name, devices in told.items()}
        if GPU in told:
            variables["CUDA_VISIBLE_DEVICES"] = told[GPU]
        return variables


def allocate(
    pools: Mapping[str, DevicePool], held: Iterable[Grant], needs: Mapping[str, float]
) -> Grant | None:
    """Return what to give for the needs beside what is held; None when it isn't all free."""
    taken = list(held)
    amounts: dict[str, int] = {}
    shares: dict[str, Mapping[str, int]] = {}
    for name, need in needs.items():
        amount, pool = millionths(need), pools.get(name)
        if not amount:
            continue
        if pool is None or sum(each.amounts.get(name, 0) for each in taken) + amount > pool.amount:
            return None
        amounts[name] = amount
        if pool.devices:
            left = _left(pool, [each.shares.get(name, {}) for each in taken])
            given = _devices(left, amount)
            if given is None:
                return None
            shares[name] = given
    return Grant(amounts=amounts, shares=shares)


def _left(pool: DevicePool, taken: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return what each device has left, in the order of the pool."""
    used: dict[str, int] = defaultdict(int)
    for shares in taken:
        for device, share in shares.items():
            used[device] += share
    return {device: UNIT - used[device] for device in pool.devices}


def _devices(left: Mapping[str, int], amount: int) -> dict[str, int] | None:
    whole, share = divmod(amount, UNIT)
    given: dict[str, int] = {}
    if share:
        fitting = [device for device, rest in left.items() if rest >= share]
        if not fitting:
            return None
        given[min(fitting, key=left.__getitem__)] = share
    free = [device for device, rest in left.items() if rest == UNIT and device not in given]
    if len(free) < whole:
        return None
    given.update(dict.fromkeys(free[:whole], UNIT))
    return {device: given[device] for device in left if device in given}
