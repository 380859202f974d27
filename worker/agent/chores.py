"""What an agent's loop does beside everything else, also for other threads.

A chore is a coroutine that nobody waits for. It is kept until it has ended, and what it raises is
logged; those that are left end with `close`. `on_loop` lets other threads call into the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")

logger = logging.getLogger(__name__)


class Chores:
    """The background tasks of one loop."""

    def __init__(self) -> None:
        """Begin with none."""
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it from now on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Cancel those that are left, and wait for their end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a chore failed", exc_info=error, extra={"event": "agent.chore"})


def on_loop(loop: asyncio.AbstractEventLoop, function: Callable[P, None]) -> Callable[P, None]:
    """Return the function as other threads may call it: it runs on the loop, while that runs."""

    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: function(*args, **kwargs))

    return call
