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
from collections import deque
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

from rootward.orchestrator.store.line import Line, LineDown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rootward.orchestrator.store.records import Exchange, Finish
    from rootward.orchestrator.store.store import Store

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


Told = Callable[["Exchange | Exception"], None]


class StoreLock:
    """Whose turn it is: one at a time, in the order in which they came."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Be nobody's."""
        self._loop = loop
        self._is_taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take it if nobody has it; whether it was taken."""
        if self._is_taken:
            return False
        self._is_taken = True
        return True

    async def take(self) -> None:
        """Take it when all who came before have given it."""
        if self.take_now():
            return
        mine = self._loop.create_future()
        self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Give it to the next who waits."""
        while self._waiting:
            following = self._waiting.popleft()
            if not following.done():
                following.set_result(None)
                return
        self._is_taken = False

    async def __aenter__(self) -> None:
        await self.take()

    async def __aexit__(self, *error: object) -> None:
        self.give()


class StoreClient:
    """Runs calls of the store in its thread; belongs to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start no thread yet; the first call does."""
        self._loop = loop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rootward-store")
        self._is_closed = False
        # Held over all tries of a call, so that a later one never overtakes it.
        self._turn = StoreLock(loop)
        self._line: Line | None = None
        self._may_have_line = True
        self._slow: set[asyncio.Task[None]] = set()

    def exchange(self, store: Store, agent_id: str, told: Told, **traffic: Unpack[Traffic]) -> None:
        """Exchange until Redis has answered; `told` is called later, once.

        It gets the answer, or what isn't a matter of waiting.
        """
        line = self._line
        if line is None or not line.is_open or self._is_closed or not self._turn.take_now():
            self._exchange_slowly(store, agent_id, told, traffic, has_turn=False)
            return

        def tell(result: Exchange | Exception) -> None:
            if isinstance(result, LineDown):
                logger.debug("the line is down: %s", result, extra={"event": "line.down"})
                self._exchange_slowly(store, agent_id, told, traffic, has_turn=True)
                return
            self._turn.give()
            told(result)

        store.tasks.exchange_on(line, agent_id, tell, **traffic)

    def _exchange_slowly(
        self, store: Store, agent_id: str, told: Told, traffic: Traffic, *, has_turn: bool
    ) -> None:
        async def exchange() -> None:
            if not has_turn:
                await self._turn.take()
            result: Exchange | Exception
            try:
                call = partial(store.tasks.exchange, agent_id, **traffic)
                result = await self._until_answered(call)
                if self._may_have_line and (self._line is None or not self._line.is_open):
                    await self._open_line(store)
            except Exception as error:
                result = error
            finally:
                self._turn.give()
            told(result)

        slow = self._loop.create_task(exchange())
        self._slow.add(slow)
        slow.add_done_callback(self._slow.discard)

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
