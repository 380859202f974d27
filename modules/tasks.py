"""Running the tasks of one module in this process, wherever that is.

It owns the order of a getter's callables and what their results mean: a coroutine is awaited,
anything else is dropped. Who records what the tasks change, and what happens on an error, is the
caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .work import tasks_of

if TYPE_CHECKING:
    from .module import ModuleBase


def run_tasks(module: ModuleBase, kind: str) -> None:
    """Run the module's tasks of `kind` in order; raises TaskGetterError and whatever they raise."""
    for task in tasks_of(module, kind) or ():
        finish(task())


def finish(result: object) -> object:
    """Return a result, of a coroutine what it returns."""
    if hasattr(result, "__await__"):
        import asyncio
        import inspect

        if inspect.iscoroutine(result):
            return asyncio.run(result)
    return result
