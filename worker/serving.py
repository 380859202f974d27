"""Running calls: the user's code in threads of its own, its results and streams back to the caller.

The event loop of the server never runs the user's code, so a replica answers its owner whatever a
call does: plain functions and generators run in a pool of threads, coroutines in one loop of their
own. A stream is taken item by item, as fast as its reader reads, and closed when the reader has
gone.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NoReturn

from .formats import EVENTS_TYPE, Format, Refused

if TYPE_CHECKING:
    from .metrics import Metrics

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_END: Final = object()
_PLAIN, _STREAM, _LATER = 0, 1, 2


class Serving:
    """Answers the calls of one module; `target` is what they run."""

    def __init__(
        self,
        target: Callable[..., Any],
        signature: inspect.Signature | None,
        metrics: Metrics,
        concurrency: int,
    ) -> None:
        """`signature` (None: unknown) tells which plain calls are the caller's fault."""
        self.metrics = metrics
        self._target, self._signature = target, signature
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="rootward-call")
        self._own_loop: asyncio.AbstractEventLoop | None = None

    async def answer(
        self, format_: Format, body: bytes, wants_events: bool, receive: Receive, send: Send
    ) -> None:
        """Run one call and send its answer; raises Refused before anything was sent."""
        began = time.perf_counter()
        self.metrics.in_flight += 1
        is_error = False
        try:
            kind, value = await self._in_pool(self._begin, format_, body, wants_events)
            if kind == _LATER:
                kind, value = await self._await(format_, value, wants_events)
            if kind == _STREAM:
                is_error = await self._stream(format_, value, receive, send)
            else:
                is_error, answer = value
                await _send_whole(send, 500 if is_error else 200, answer, format_.content_type)
        except Refused:
            raise
        except BaseException:
            is_error = True
            raise
        finally:
            self.metrics.in_flight -= 1
            self.metrics.finished(time.perf_counter() - began, is_error=is_error)

    def _begin(self, format_: Format, body: bytes, wants_events: bool) -> tuple[int, Any]:
        """Run the call in a pool's thread, as far as it goes without waiting."""
        args, kwargs = format_.open(body)
        if format_.is_plain and self._signature is not None:
            try:
                self._signature.bind(*args, **kwargs)
            except TypeError as error:
                raise Refused(400, "TypeError", str(error)) from None
        try:
            result = self._target(*args, **kwargs)
        except BaseException as error:
            return _failed(format_, error, wants_events)
        if inspect.iscoroutine(result):
            return _LATER, result
        return _settled(format_, result, wants_events)

    async def _await(self, format_: Format, later: Any, wants_events: bool) -> tuple[int, Any]:
        try:
            result = await self._in_own_loop(later)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            return _failed(format_, error, wants_events)
        settled: tuple[int, Any] = await self._in_pool(_settled, format_, result, wants_events)
        return settled

    async def _stream(self, format_: Format, items: Any, receive: Receive, send: Send) -> bool:
        """Send the items as they come; return whether an error ended them."""
        await send(_start(200, format_.stream_type))
        gone = asyncio.ensure_future(_disconnected(receive))
        error: BaseException | None = None
        index = 0
        try:
            while not gone.done():
                item = await self._next(items)
                if isinstance(item, _Raised):
                    error = item.error
                    break
                if item is _END:
                    break
                try:
                    piece = await self._in_pool(format_.item, index, item)
                except Exception as unwritable:
                    error = unwritable
                    break
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                index += 1
            await send({"type": "http.response.body", "body": format_.end(index, error)})
        finally:
            gone.cancel()
            await self._close(items)
        return error is not None

    async def _next(self, items: Any) -> Any:
        if hasattr(items, "__anext__"):
            return await self._in_own_loop(_take_later(items))
        return await self._in_pool(_take, items)

    async def _close(self, items: Any) -> None:
        if hasattr(items, "aclose"):
            await self._in_own_loop(_closed(items))
        elif hasattr(items, "close"):
            await self._in_pool(_close, items)

    def _in_pool(self, function: Callable[..., Any], *args: Any) -> Awaitable[Any]:
        context = contextvars.copy_context()
        return asyncio.get_running_loop().run_in_executor(self._pool, context.run, function, *args)

    def _in_own_loop(self, coroutine: Any) -> Awaitable[Any]:
        if self._own_loop is None:
            self._own_loop = asyncio.new_event_loop()
            threading.Thread(
                target=self._own_loop.run_forever, name="rootward-async-calls", daemon=True
            ).start()
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._own_loop))


class _Raised:
    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _settled(format_: Format, result: Any, wants_events: bool) -> tuple[int, Any]:
    """Turn what the module returned into a whole answer or a stream."""
    is_stream = hasattr(result, "__next__") or hasattr(result, "__anext__")
    if is_stream and (wants_events or not format_.is_plain or hasattr(result, "__anext__")):
        return _STREAM, result
    if wants_events and format_.is_plain:
        return _STREAM, iter((result,))
    try:
        return _PLAIN, (False, format_.result(list(result) if is_stream else result))
    except BaseException as error:
        return _failed(format_, error, wants_events=False)


def _failed(format_: Format, error: BaseException, wants_events: bool) -> tuple[int, Any]:
    """Turn an error of the module into an answer; a reader of events gets it as one."""
    if wants_events and format_.is_plain:
        return _STREAM, _Raising(error)
    return _PLAIN, (True, format_.error(error))


class _Raising:
    """An iterator that raises at once."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __next__(self) -> NoReturn:
        raise self._error


def _take(items: Any) -> Any:
    # StopIteration can't pass through a future, and nothing else should.
    try:
        return next(items, _END)
    except BaseException as error:
        return _Raised(error)


async def _take_later(items: Any) -> Any:
    try:
        return await anext(items, _END)
    except BaseException as error:
        return _Raised(error)


def _close(items: Any) -> None:
    try:
        items.close()
    except BaseException:
        # Nobody is left to be told; what the generator had to say went to its own output.
        return


async def _closed(items: Any) -> None:
    try:
        await items.aclose()
    except BaseException:
        return


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(status: int, content_type: str) -> dict[str, Any]:
    headers = [(b"content-type", content_type.encode())]
    if content_type == EVENTS_TYPE:
        headers.append((b"cache-control", b"no-cache"))
    return {"type": "http.response.start", "status": status, "headers": headers}


async def _send_whole(send: Send, status: int, body: bytes, content_type: str) -> None:
    start = _start(status, content_type)
    start["headers"].append((b"content-length", b"%d" % len(body)))
    await send(start)
    await send({"type": "http.response.body", "body": body})
