"""The seam between a module's methods and whatever runs their tasks.

It owns the question "who runs this now?": an open `connect`, else the Redis of `REDIS_URL`, else
this process. The orchestrator is reached by name only, so that this package never imports it. While
a target is imported, and inside workers, the answer is NestedDeployment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, cast

from .errors import NestedDeployment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .module import ModuleBase


class Executor(Protocol):
    """Runs the tasks of a tree and knows what it serves."""

    def run(
        self,
        root: ModuleBase,
        *,
        kinds: Iterable[str],
        recursive: bool = True,
        restart: bool = False,
    ) -> None:
        """Run the tasks of these kinds, children first; `restart` stops what is served before."""

    def stop(self, root: ModuleBase) -> None:
        """End what `root` and all below it serve, parents first; returns when all has ended."""

    def wait(self, root: ModuleBase) -> None:
        """Return when what `root` serves has ended."""


# Pushed and popped by `orchestrator.connect`; the last one is asked.
_active: list[Executor] = []
_forbidden: str | None = None


def resolve() -> Executor:
    """Return who runs tasks now; raises NestedDeployment where nothing may be deployed."""
    if _forbidden is not None:
        raise NestedDeployment(_forbidden)
    if _active:
        return _active[-1]
    if os.environ.get("REDIS_URL"):
        import importlib

        orchestrator = importlib.import_module("rootward.orchestrator.client.client")
        return cast("Executor", orchestrator.executor_from_environment())
    from .local.executor import local_executor

    return local_executor()


def resolve_for(module: ModuleBase) -> Executor:
    """Return who runs what `module` serves: this process if it started it, else `resolve()`."""
    import sys

    # If that file was never imported, nothing was started here.
    local = sys.modules.get(f"{__package__}.local.executor")
    if local is not None and local.local_executor().holds(module):
        return cast("Executor", local.local_executor())
    return resolve()


def forbid(reason: str) -> None:
    """Let `resolve` refuse from now on, for good; `reason` says where this is."""
    global _forbidden
    _forbidden = reason


@contextmanager
def forbidden(reason: str) -> Iterator[None]:
    """Let `resolve` refuse within the block."""
    global _forbidden
    before, _forbidden = _forbidden, reason
    try:
        yield
    finally:
        _forbidden = before
