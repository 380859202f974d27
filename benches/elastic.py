"""The served modules of the benchmark of scaling: one that is slow to answer, and a chain."""

from __future__ import annotations

import threading
from typing import Any

from rootward.modules import ModuleBase, ServerModule

SLEEPY = {"replicas": (0, 1), "scale_to_zero_after": 0.5}


class Slow(ModuleBase):
    """Answers after some time, in which it uses no CPU."""

    def forward(self, seconds: float) -> float:
        """Wait, and return for how long."""
        threading.Event().wait(seconds)
        return seconds


class Link(ModuleBase):
    """One module of a chain, which calls the next."""

    def __init__(self, below: Any = None) -> None:
        super().__init__()
        self.below = below

    def forward(self, count: int) -> int:
        """Count the modules from here on."""
        return count + 1 if self.below is None else int(self.below(count + 1))


def busy() -> ServerModule:
    """Return a service that is to have one replica for four calls."""
    return ServerModule(Slow(), name="busy", replicas=(1, 4), target=4, scale_down_after=2)


def chain(length: int) -> ServerModule:
    """Return a chain of services that sleep when nobody calls."""
    top = ServerModule(Link(), name="chain", **SLEEPY)
    for _ in range(length - 1):
        top = ServerModule(Link(top), name="chain", **SLEEPY)
    return top
