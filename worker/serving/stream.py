"""The answer of a generator: item by item, as fast as its reader reads.

A plain generator is run by the threads of calls, and gives its thread to others while its reader is
slow or calls wait; an async one runs in the loop that reads. It is closed when it has ended, when
its reader has gone, and when the time of the call, or the limit for one item, is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from rootward.modules.processes.thread_pool import ThreadPool

    from .connection import CallerConnection
    from .formats import Format

_END: Final = object()


class StreamRunner(Protocol):
    """What runs calls, as a stream sees it."""

    pool: ThreadPool
    call_timeout: float | None
    on_raised: Callable[[BaseException], None]

    def entered(self, call: Any) -> None:
        """Begin to make an item."""

    def left(self, call: Any) -> bool:
        """End it; False when the call was given up meanwhile."""


class Streaming(Protocol):
    """A call as its stream sees it."""

    caller: CallerConnection
    format: Format

    @property
    def serving(self) -> StreamRunner:
        """What runs it."""

    @property
    def left_s(self) -> float | None:
        """The seconds that are left of its time; None when nobody has limited it."""

    def submit(self, job: Callable[[], None]) -> None:
        """Run a part of it in a thread."""

    def ended(self, *, is_error: bool) -> None:
        """Count it out."""


class Stream:
    """One stream under way."""

    __slots__ = ("_call", "_caller", "_has_begun", "_index", "_items")

    def __init__(self, call: Streaming, items: Any) -> None:
        self._call, self._caller, self._items = call, call.caller, items
        self._index = 0
        self._has_begun = False

    def run(self) -> None:
        """Send items, in this thread, until the end or until others need it."""
        serving = self._call.serving
        self._begin()
        while True:
            if self._caller.is_gone:
                break
            try:
                serving.entered(self._call)
                item = _END if self._is_late() else next(self._items, _END)
            except BaseException as error:
                if serving.left(self._call):
                    self._end(error)
                return
            if not serving.left(self._call):
                return
            if item is _END:
                self._end(TimeoutError("the time of the call is over") if self._is_late() else None)
                return
            if not self._send(item):
                return
            if not self._caller.is_writable and self._caller.park(self._resume):
                return
            if self._call.serving.pool.is_contended:
                self._resume()
                return
        self._close()
        self._call.ended(is_error=False)

    async def run_later(self) -> None:
        """Send the items of an async generator, until the end."""
        self._begin()
        items: AsyncIterator[Any] = self._items
        limit_s = self._call.serving.call_timeout
        error: BaseException | None = None
        try:
            async with asyncio.timeout(self._call.left_s):
                while not self._caller.is_gone:
                    async with asyncio.timeout(limit_s):
                        item = await anext(items, _END)
                    if item is _END:
                        break
                    self._caller.send_piece(self._call.format.item(self._index, item))
                    self._index += 1
                    await self._until_writable()
        except BaseException as raised:
            error = raised
        try:
            if hasattr(items, "aclose"):
                await items.aclose()
        except BaseException as raised:
            error = error or raised
        self._last(error)

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._caller.begin_stream(self._call.format.stream_type)

    def _send(self, item: Any) -> bool:
        """Send an item; whether it could be written."""
        try:
            piece = self._call.format.item(self._index, item)
        except Exception as unwritable:
            self._end(unwritable)
            return False
        self._caller.send_piece(piece)
        self._index += 1
        return True

    def _is_late(self) -> bool:
        left_s = self._call.left_s
        return left_s is not None and left_s <= 0

    def _resume(self) -> None:
        self._call.submit(self.run)

    def _end(self, error: BaseException | None) -> None:
        self._close()
        self._last(error)

    def _last(self, error: BaseException | None) -> None:
        if error is not None:
            self._call.serving.on_raised(error)
        piece = self._call.format.end(self._index, error)
        self._call.ended(is_error=error is not None)
        self._caller.send_piece(piece, is_last=True)

    def _close(self) -> None:
        if hasattr(self._items, "close"):
            try:
                self._items.close()
            except BaseException:
                # Nobody is left to be told; what it had to say went to its own output.
                return

    async def _until_writable(self) -> None:
        while not (self._caller.is_writable or self._caller.is_gone):
            woken = asyncio.Event()
            # From whatever thread finds that the reader reads again.
            wake = partial(asyncio.get_running_loop().call_soon_threadsafe, woken.set)
            if self._caller.park(wake):
                await woken.wait()


def raising(error: BaseException) -> Iterator[Any]:
    """Return an iterator that raises when it is asked for its first item."""
    return map(_raise, (error,))


def _raise(error: BaseException) -> NoReturn:
    raise error
