"""Running calls: the user's code in threads of its own, its results straight back to the caller.

The event loop of the server never runs the user's code, so a replica answers its owner whatever a
call does: plain functions run in a bounded crew of threads, coroutines in one loop of their own. A
call whose time is over before it begins is not begun; a coroutine is cancelled when it is.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from rootward.modules.processes.thread_pool import Crew

from .formats import Format, Refused
from .stream import Stream, raising

if TYPE_CHECKING:
    from .connection import Caller
    from .metrics import Metrics


class Serving:
    """Runs the calls of one module; `target` is what they run."""

    def __init__(
        self,
        target: Callable[..., Any],
        signature: inspect.Signature | None,
        metrics: Metrics,
        concurrency: int,
    ) -> None:
        """`signature` (None: unknown) tells which plain calls are the caller's fault."""
        self.metrics = metrics
        self.target, self.signature = target, signature
        self.crew = Crew("rootward-call", concurrency)
        # Another kind of call where traces are asked for.
        self.make_call: Callable[..., Call] = Call
        # Called, from whatever thread, when a call has ended.
        self.on_end: Callable[[], None] | None = None
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()

    @property
    def own_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that coroutines run in, in a thread of its own."""
        if self._own_loop is None:
            with self._starting:
                if self._own_loop is None:
                    loop = asyncio.new_event_loop()
                    threading.Thread(
                        target=loop.run_forever, name="rootward-async-calls", daemon=True
                    ).start()
                    self._own_loop = loop
        return self._own_loop


class Call:
    """One call: from its whole body to the last byte of its answer.

    `until` is when its time is over, by the monotonic clock.
    """

    __slots__ = (
        "_began",
        "_context",
        "_is_over",
        "caller",
        "format",
        "serving",
        "until",
        "wants_events",
    )

    def __init__(
        self,
        serving: Serving,
        caller: Caller,
        format_: Format,
        *,
        wants_events: bool,
        until: float | None,
    ) -> None:
        self.serving, self.caller, self.format = serving, caller, format_
        self.wants_events, self.until = wants_events, until
        self._began = time.perf_counter()
        self._context = contextvars.copy_context()
        self._is_over = False

    def start(self, body: bytes) -> None:
        """Run it as soon as there is a thread for it."""
        self.serving.metrics.began()
        self.submit(partial(self._run, body))

    def submit(self, job: Callable[[], None]) -> None:
        """Run a part of it in one of the threads; what that raises ends the connection."""
        self.serving.crew.submit(partial(self._guarded, job))

    @property
    def left_s(self) -> float | None:
        """The seconds that are left of its time; None when nobody has limited it."""
        return None if self.until is None else self.until - time.monotonic()

    def ended(self, *, is_error: bool) -> None:
        """Count it out; its answer is sent next, and then it may be asked how many there were."""
        if self._is_over:
            return
        self._is_over = True
        serving = self.serving
        serving.metrics.finished(time.perf_counter() - self._began, is_error=is_error)
        if serving.on_end is not None:
            serving.on_end()

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            # A copy, as the part before may not have left it yet.
            self._context.copy().run(job)
        except BaseException:
            # What the module raises never comes here: nothing sensible can be answered any more.
            self.ended(is_error=True)
            self.caller.abandon()
            raise

    def _run(self, body: bytes) -> None:
        """Run it as far as it goes without waiting."""
        try:
            args, kwargs = self._arguments(body)
        except Refused as refused:
            self.ended(is_error=False)
            self.caller.refuse(refused)
            return
        try:
            result = self.serving.target(*args, **kwargs)
        except BaseException as error:
            self._fail(error)
            return
        if inspect.iscoroutine(result):
            self._in_own_loop(self._timed(result), self._awaited)
        else:
            self._settle(result)

    def _arguments(self, body: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        left_s = self.left_s
        if left_s is not None and left_s <= 0:
            raise _late("its time was over before it began")
        args, kwargs = self.format.open(body)
        signature = self.serving.signature
        if self.format.is_plain and signature is not None:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise Refused(400, "TypeError", str(error)) from None
        return args, kwargs

    async def _timed(self, later: Coroutine[Any, Any, Any]) -> Any:
        timer = asyncio.timeout(self.left_s)
        try:
            async with timer:
                return await later
        except TimeoutError as error:
            if timer.expired():
                raise _late("it was cancelled when its time was over") from error
            raise

    def _in_own_loop(
        self, coroutine: Coroutine[Any, Any, Any], then: Callable[[Any], None]
    ) -> None:
        future = asyncio.run_coroutine_threadsafe(coroutine, self.serving.own_loop)
        future.add_done_callback(lambda done: self.submit(partial(then, done)))

    def _awaited(self, done: Any) -> None:
        try:
            result = done.result()
        except Refused as refused:
            self.ended(is_error=True)
            self.caller.refuse(refused)
        except BaseException as error:
            self._fail(error)
        else:
            self._settle(result)

    def _settle(self, result: Any) -> None:
        """Turn what the module returned into a whole answer or a stream."""
        format_ = self.format
        is_later = hasattr(result, "__anext__")
        is_stream = is_later or hasattr(result, "__next__")
        if is_stream and (self.wants_events or is_later or not format_.is_plain):
            self._stream(result)
        elif self.wants_events and format_.is_plain:
            self._stream(iter((result,)))
        else:
            try:
                answer = format_.result(list(result) if is_stream else result)
            except BaseException as error:
                self._answer_error(error)
                return
            self.ended(is_error=False)
            self.caller.answer(200, format_.content_type, answer)

    def _fail(self, error: BaseException) -> None:
        """Turn an error of the module into an answer; a reader of events gets it as one."""
        if self.wants_events and self.format.is_plain:
            self._stream(raising(error))
        else:
            self._answer_error(error)

    def _answer_error(self, error: BaseException) -> None:
        answer = self.format.error(error)
        self.ended(is_error=True)
        self.caller.answer(500, self.format.content_type, answer)

    def _stream(self, items: Any) -> None:
        stream = Stream(self, items)
        if hasattr(items, "__anext__"):
            self._in_own_loop(stream.run_later(), lambda done: done.result())
        else:
            stream.run()


def _late(why: str) -> Refused:
    return Refused(504, "Timeout", f"the caller gave the call a time: {why}")
