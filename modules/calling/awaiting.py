"""Calls of modules and flows from async code, without blocking its loop.

`await m.acall(x)` waits for the result and `async for item in m.acall(x)` takes a stream item by
item. A coroutine is awaited where it is; everything else runs in a thread, in the caller's context.
Who gives up waiting leaves the thread to end by itself.
"""

from __future__ import annotations

import asyncio
import inspect
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from ..processes.threads import start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

_END = object()


class AsyncCall:
    """A call that has not begun: await it for its result, or iterate over it for its stream."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._function = function
        self._args = args
        self._kwargs = kwargs

    def __await__(self) -> Generator[Any, None, Any]:
        """Run the call; a stream comes as an async iterator."""
        return self._result().__await__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Run the call and yield the items of its stream; raises TypeError if it is none."""
        result = await self._result()
        if not hasattr(result, "__anext__"):
            raise TypeError(
                f"async for needs a stream, this call returned a {type(result).__name__}; await it"
            )
        try:
            async for item in result:
                yield item
        finally:
            if hasattr(result, "aclose"):
                await result.aclose()

    async def _result(self) -> Any:
        context = copy_context()
        result = await _in_thread(context, self._function, *self._args, **self._kwargs)
        if inspect.isawaitable(result):
            result = await result
        return _stream(context, result) if hasattr(result, "__next__") else result


async def _stream(context: Context, items: Iterator[Any]) -> AsyncIterator[Any]:
    try:
        while (item := await _in_thread(context, next, items, _END)) is not _END:
            yield item
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            await _in_thread(context, close)


async def _in_thread(
    context: Context, function: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def run() -> None:
        try:
            result = context.run(function, *args, **kwargs)
        except BaseException as error:
            _settle(loop, done, None, error)
        else:
            _settle(loop, done, result, None)

    start(run)
    return await done


def _settle(
    loop: asyncio.AbstractEventLoop,
    done: asyncio.Future[Any],
    result: Any,
    error: BaseException | None,
) -> None:
    def settle() -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        elif isinstance(error, StopIteration):
            # A future refuses it: to its awaiter it would look like the end of the coroutine.
            failure = RuntimeError("the call raised StopIteration")
            failure.__cause__ = error
            done.set_exception(failure)
        else:
            done.set_exception(error)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The loop was closed: nobody waits any more.
        return
