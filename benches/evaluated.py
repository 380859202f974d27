"""The modules that the benchmark of evaluations evaluates: items that wait, items that compute."""

from __future__ import annotations

import os
import time

from rootward import ModuleBase

ITEM_S = 0.001


class Waiting(ModuleBase):
    """Waits for a millisecond, as for a service that answers."""

    def forward(self, number: int) -> int:
        time.sleep(ITEM_S)
        return number


class Computing(ModuleBase):
    """Keeps a processor busy for a millisecond."""

    def forward(self, number: int) -> int:
        end = time.thread_time() + ITEM_S
        while time.thread_time() < end:
            pass
        return number


def whole(results: list[int]) -> int:
    """Return how many there are; ValueError when one is missing, doubled or out of its place."""
    if results != list(range(len(results))):
        raise ValueError("the results aren't those of the items in their order")
    return len(results)


def waits() -> ModuleBase:
    """Return a module whose items wait."""
    return _evaluated(Waiting(name="waits"))


def computes() -> ModuleBase:
    """Return a module whose items compute."""
    return _evaluated(Computing(name="computes"))


def _evaluated(module: ModuleBase) -> ModuleBase:
    module.evalset(range(int(os.environ["BENCH_ITEMS"])), collect_f=whole)
    return module
