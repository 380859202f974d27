"""The agent's way to the store: one thread that makes the blocking calls, in order.

The loop never waits for Redis itself, so that a pause of Redis freezes no supervision. Calls run
one after the other in the order in which they were asked for: what a task printed is stored
before its finish. A call that fails because Redis is away is repeated until it succeeds; every
call of the store is idempotent, so repeating one that was applied changes nothing. The exchanges
take a shorter way, a line in the loop itself, whenever there is one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypedDict, TypeVar, Unpack

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

from orchestrator.line import Line, LineDown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.records import Exchange, Finish
    from orchestrator.store import Store

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

_PAUSE_S = 0.25
_PASSING_CODES = (
    *("BUSY ", "MISCONF", "NOREPLICAS"),
    *("MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "UNBLOCKED"),
)


def will_pass(error: BaseException) -> bool:
    """Whether `error` says that Redis can't answer now, rather than that the call is wrong."""
    if isinstance(error, RedisConnectionError | RedisTimeoutError | OSError):
        return True
    if isinstance(error, BusyLoadingError | ReadOnlyError | OutOfMemoryError):
        return True
    return isinstance(error, ResponseError) and str(error).startswith(_PASSING_CODES)


class Traffic(TypedDict):
    """What an exchange takes along."""

    finishes: Sequence[Finish]
    queues: Sequence[str]
    limit: int
    offsets: Mapping[str, int]


class Link:
    """Runs calls of the store in its thread; belongs to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start no thread yet; the first call does."""
        self._loop = loop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rootward-store")
        self._is_closed = False
        # Held over all tries of a call, so that a later one never overtakes it.
        self._turn = asyncio.Lock()
        self._line: Line | None = None
        self._may_have_line = True

    async def exchange(self, store: Store, agent_id: str, **traffic: Unpack[Traffic]) -> Exchange:
        """Exchange, until Redis has answered; raises what isn't a matter of waiting."""
        async with self._turn:
            line = self._line
            if line is not None and line.is_open and not self._is_closed:
                try:
                    return await store.exchange_on(line, agent_id, **traffic)
                except LineDown as error:
                    logger.debug("the line is down: %s", error, extra={"event": "line.down"})
            answer = await self._until_answered(partial(store.exchange, agent_id, **traffic))
            if self._may_have_line:
                await self._open_line(store)
            return answer

    async def once(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it once, after what is under way; raises what it raises."""
        if self._line is not None:
            await self._line.until_quiet()
        return await self._call(partial(function, *args, **kwargs))

    async def insist(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it until Redis has answered; raises what isn't a matter of waiting."""
        async with self._turn:
            return await self._until_answered(partial(function, *args, **kwargs))

    async def _call(self, function: Callable[[], T]) -> T:
        if self._is_closed:
            raise ConnectionAbortedError("this worker has let go of its store")
        return await self._loop.run_in_executor(self._thread, function)

    async def _until_answered(self, function: Callable[[], T]) -> T:
        told = False
        while True:
            try:
                return await self._call(function)
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

    async def _open_line(self, store: Store) -> None:
        try:
            sock = await self._call(store.clients.plain_socket)
        except Exception as error:
            logger.debug("no line: %s", error, extra={"event": "line.down"})
            return
        if sock is None:
            self._may_have_line = False
        elif self._is_closed:
            sock.close()
        else:
            self._line = Line(self._loop, sock)

    def close(self) -> None:
        """Let no more calls begin; one that is under way ends by itself."""
        self._is_closed = True
        if self._line is not None:
            self._line.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
