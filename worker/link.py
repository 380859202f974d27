"""The agent's line to the store: one thread that makes the blocking calls, in order.

The loop never waits for Redis itself, so that a pause of Redis freezes no supervision. Calls run
one after the other in the order in which they were asked for: what a task printed is stored
before its finish. A call that fails because Redis is away is repeated until it succeeds; every
call of the store is idempotent, so repeating one that was applied changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from redis.exceptions import (
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

_PAUSE_S = 0.25
_PASSING_CODES = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "UNBLOCKED")


def will_pass(error: BaseException) -> bool:
    """Whether `error` says that Redis can't answer now, rather than that the call is wrong."""
    if isinstance(error, RedisConnectionError | RedisTimeoutError | OSError):
        return True
    if isinstance(error, BusyLoadingError | ReadOnlyError | OutOfMemoryError):
        return True
    return isinstance(error, ResponseError) and str(error).startswith(_PASSING_CODES)


class Link:
    """Runs calls of the store in its thread; belongs to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start no thread yet; the first call does."""
        self._loop = loop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rootward-store")
        self._is_closed = False
        # Held over all tries of a call, so that a later one never overtakes it.
        self._turn = asyncio.Lock()

    async def once(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it once; raises what it raises."""
        if self._is_closed:
            raise ConnectionAbortedError("this worker has let go of its store")
        return await self._loop.run_in_executor(self._thread, lambda: function(*args, **kwargs))

    async def insist(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it until Redis has answered; raises what isn't a matter of waiting."""
        async with self._turn:
            told = False
            while True:
                try:
                    return await self.once(function, *args, **kwargs)
                except Exception as error:
                    if self._is_closed or not will_pass(error):
                        raise
                    if not told:
                        logger.warning(
                            "Redis doesn't answer (%s); trying until it does",
                            error,
                            extra={"event": "store.away"},
                        )
                        told = True
                await asyncio.sleep(_PAUSE_S)

    def close(self) -> None:
        """Let no more calls begin; one that is under way ends by itself."""
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
