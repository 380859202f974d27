"""The seam between a module's methods and whatever runs their tasks.

It owns the question "who runs this now?": an open `connect`, else the Redis of `REDIS_URL`, else
this process. Both are reached by name only: the orchestrator, so that this package never imports
it, and the local executor, which builds on modules. While a target is imported, and inside workers,
the answer is NestedDeployment.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, cast

from .errors import NestedDeployment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .composite import Composite


class Executor(Protocol):
    """Runs the tasks of a tree and knows what it serves."""

    def run(
        self,
        root: Composite,
        *,
        kinds: Iterable[str],
        recursive: bool = True,
        restart: bool = False,
        progress: bool = True,
    ) -> None:
        """Run the tasks of these kinds, children first.

        `restart` stops what is served before; `progress` lets the waiting be shown.
        """

    def stop(self, root: Composite) -> None:
        """End what `root` and all below it serve, parents first; returns when all has ended."""

    def wait(self, root: Composite) -> None:
        """Return when what `root` serves has ended."""


# Of the thread or coroutine: two threads may each have a Redis of their own, or import a target.
_open: ContextVar[tuple[Executor, ...]] = ContextVar("rootward_executors", default=())
_importing: ContextVar[str | None] = ContextVar("rootward_importing", default=None)
_forbidden: str | None = None


def enter(executor: Executor) -> None:
    """Ask `executor` from now on, in this thread or coroutine and in what it starts by a copy."""
    _open.set((*_open.get(), executor))


def leave(executor: Executor) -> None:
    """Take back the last `enter` of that executor, if there was one here."""
    entered = list(_open.get())
    if executor in entered:
        entered.reverse()
        entered.remove(executor)
        entered.reverse()
        _open.set(tuple(entered))


def resolve() -> Executor:
    """Return who runs tasks now; raises NestedDeployment where nothing may be deployed."""
    reason = _forbidden or _importing.get()
    if reason is not None:
        raise NestedDeployment(reason)
    if entered := _open.get():
        return entered[-1]
    if os.environ.get("REDIS_URL"):
        orchestrator = importlib.import_module("rootward.orchestrator.client.client")
        return cast("Executor", orchestrator.executor_from_environment())
    local = importlib.import_module(f"{__package__}.local.executor")
    return cast("Executor", local.local_executor())


def resolve_for(module: Composite) -> Executor:
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
    """Let `resolve` refuse within the block, in this thread."""
    token = _importing.set(reason)
    try:
        yield
    finally:
        _importing.reset(token)
