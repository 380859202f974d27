"""Running calls: coroutines on the loop that reads, plain functions in threads of their own.

What is a coroutine begins and ends on the event loop of the server, so that it costs no change of
thread; one that blocks holds up the other calls of its replica, as in any server of this kind. A
plain function runs in a bounded pool of threads, and its answer is written by the thread that made
it. A call whose time is over before it begins is not begun; a coroutine is cancelled when it is.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rootward.modules.processes.thread_pool import ThreadPool

from .formats import Format, Refused
from .stream import Stream, raising

if TYPE_CHECKING:
    from .connection import CallerConnection
    from .metrics import Metrics
    from .parameters import Parameters

# Reading the arguments of a larger one would hold up the loop.
_LOOP_BODY_BYTES: Final = 64 << 10
_LOOKS_A_LIMIT: Final = 10


class CallRunner:
    """Runs the calls of one module; `target` is what they run."""

    def __init__(
        self,
        target: Callable[..., Any],
        parameters: Parameters | None,
        metrics: Metrics,
        *,
        concurrency: int,
        is_async: bool = False,
        call_timeout: float | None = None,
    ) -> None:
        """`parameters` (None: unknown) tell which plain calls are the caller's fault.

        `is_async` says that `target` never blocks, `call_timeout` how long (seconds) a call may
        run.
        """
        self.metrics = metrics
        self.target, self.parameters = target, parameters
        self.is_async, self.call_timeout = is_async, call_timeout
        self.pool = ThreadPool("rootward-call", concurrency)
        self.loop = asyncio.get_running_loop()
        # Another kind of call where traces are asked for.
        self.make_call: Callable[..., ModuleCall] = ModuleCall
        # Called, in the loop, when a call begins.
        self.on_begin: Callable[[], None] | None = None
        # Called, from whatever thread, when a call has ended.
        self.on_end: Callable[[], None] | None = None
        # Called, from whatever thread, with each error that the module raises.
        self.on_raised: Callable[[BaseException], None] = lambda _: None
        # Called, in the loop, with the reason, when a thread runs a call beyond the limit.
        self.on_overdue: Callable[[str], None] = lambda _: None
        self._running: dict[ModuleCall, float] = {}
        self._is_watching = False

    @property
    def oldest_s(self) -> float | None:
        """How long the oldest call has run (seconds); None when none runs, or nothing limits it."""
        began = list(self._running.values())
        return time.monotonic() - min(began) if began else None

    def entered(self, call: ModuleCall) -> None:
        """Let a call that begins now take no longer than the limit, if there is one."""
        if self.call_timeout is not None:
            self._running[call] = time.monotonic()
            if not self._is_watching:
                self._is_watching = True
                self.loop.call_soon_threadsafe(self._look_for_overdue)

    def left(self, call: ModuleCall) -> bool:
        """Count a call out; False when it had been given up meanwhile."""
        return self.call_timeout is None or self._running.pop(call, None) is not None

    def _look_for_overdue(self) -> None:
        limit_s = self.call_timeout
        assert limit_s is not None
        now = time.monotonic()
        for call, began in list(self._running.items()):
            # The pop decides between this and the thread that ends the call at the same moment.
            if now - began > limit_s and self._running.pop(call, None) is not None:
                call.give_up(f"the call took longer than its call_timeout of {limit_s:g} s")
                self.on_overdue(f"a call took longer than its call_timeout of {limit_s:g} s")
        if self._running:
            self.loop.call_later(limit_s / _LOOKS_A_LIMIT, self._look_for_overdue)
        else:
            self._is_watching = False


class ModuleCall:
    """One call: from its whole body to the last byte of its answer.

    `until` is when its time is over, by the monotonic clock.
    """

    __slots__ = (
        "_began",
        "_context",
        "_is_over",
        "_is_streaming",
        "caller",
        "format",
        "serving",
        "until",
        "wants_events",
    )

    def __init__(
        self,
        serving: CallRunner,
        caller: CallerConnection,
        format_: Format,
        *,
        wants_events: bool,
        until: float | None,
    ) -> None:
        self.serving, self.caller, self.format = serving, caller, format_
        self.wants_events, self.until = wants_events, until
        self._began = time.perf_counter()
        self._context = contextvars.copy_context()
        self._is_over = self._is_streaming = False

    def start(self, body: bytes) -> None:
        """Run it: here, in the loop, or as soon as there is a thread for it."""
        self.serving.metrics.began()
        if self.serving.on_begin is not None:
            self.serving.on_begin()
        is_short = len(body) <= _LOOP_BODY_BYTES and not self.format.is_packed
        if self.serving.is_async and is_short:
            self.run_later(self._run_here(body))
        else:
            self.submit(partial(self._run, body))

    def submit(self, job: Callable[[], None]) -> None:
        """Run a part of it in one of the threads; what that raises ends the connection."""
        self.serving.pool.submit(partial(self._guarded, job))

    def run_later(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a part of it in the loop, whose thread this is."""
        task = self.serving.loop.create_task(coroutine, context=self._context)
        _tasks.add(task)
        task.add_done_callback(self._has_run)

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

    def give_up(self, why: str) -> None:
        """Answer for a thread that still runs it, and whose own answer won't be sent."""
        self.ended(is_error=True)
        if self._is_streaming:
            self.caller.abandon()
        else:
            self.caller.refuse(_late(why))

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            # A copy, as the part before may not have left it yet.
            self._context.copy().run(job)
        except BaseException:
            # What the module raises never comes here: nothing sensible can be answered any more.
            self._break()
            raise

    def _has_run(self, task: asyncio.Task[None]) -> None:
        _tasks.discard(task)
        if task.cancelled():
            self._break()
        elif (error := task.exception()) is not None:
            self._break()
            self.serving.loop.call_exception_handler(
                {"message": "a call failed outside of its module", "exception": error}
            )

    def _break(self) -> None:
        self.ended(is_error=True)
        self.caller.abandon()

    def _run(self, body: bytes) -> None:
        """Run it as far as it goes in a thread."""
        serving = self.serving
        try:
            args, kwargs = self._arguments(body)
        except Refused as refused:
            self._refuse(refused)
            return
        serving.entered(self)
        try:
            result = serving.target(*args, **kwargs)
        except BaseException as error:
            if serving.left(self):
                self._fail(error)
            return
        if not serving.left(self):
            return
        if inspect.iscoroutine(result):
            self._to_loop(self._await(result))
        else:
            self._settle(result)

    async def _run_here(self, body: bytes) -> None:
        """Run it in the loop, from beginning to end."""
        try:
            args, kwargs = self._arguments(body)
        except Refused as refused:
            self._refuse(refused)
            return
        try:
            result = self.serving.target(*args, **kwargs)
        except BaseException as error:
            self._fail(error)
            return
        if hasattr(result, "__await__"):
            await self._await(result)
        else:
            await self._stream_here(result)

    def _arguments(self, body: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        left_s = self.left_s
        if left_s is not None and left_s <= 0:
            raise _late("the caller gave the call a time: its time was over before it began")
        args, kwargs = self.format.open(body)
        parameters = self.serving.parameters
        if self.format.is_plain and parameters is not None:
            return parameters.bind(args, kwargs)
        return args, kwargs

    async def _await(self, later: Awaitable[Any]) -> None:
        limit_s = self.limit_s
        try:
            if limit_s is None:
                result = await later
            else:
                result = await self._timed(later, limit_s)
        except Refused as refused:
            self._refuse(refused, is_error=True)
        except BaseException as error:
            self._fail(error)
        else:
            if hasattr(result, "__anext__"):
                await self._stream_here(result)
            elif hasattr(result, "__next__"):
                # Its items are made by plain code, which may block.
                self.submit(partial(self._settle, result))
            else:
                self._settle(result)

    @property
    def limit_s(self) -> float | None:
        """How long it may run from now on (seconds), by its caller and by its module."""
        limits = [s for s in (self.left_s, self.serving.call_timeout) if s is not None]
        return min(limits, default=None)

    async def _timed(self, later: Awaitable[Any], limit_s: float) -> Any:
        timer = asyncio.timeout(limit_s)
        try:
            async with timer:
                return await later
        except TimeoutError as error:
            if timer.expired():
                left_s = self.left_s
                why = (
                    "the caller gave the call a time: it was cancelled when its time was over"
                    if left_s is not None and left_s <= 0
                    else f"the call took longer than its call_timeout of {limit_s:g} s"
                )
                raise _late(why) from error
            raise

    def _to_loop(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            self.serving.loop.call_soon_threadsafe(self.run_later, coroutine)
        except RuntimeError:
            # The loop has ended, and the connection with it.
            coroutine.close()

    def _settle(self, result: Any) -> None:
        """Turn what the module returned into a whole answer or a stream."""
        format_ = self.format
        is_later = hasattr(result, "__anext__")
        is_stream = is_later or hasattr(result, "__next__")
        if is_later:
            self._to_loop(self._stream_here(result))
        elif is_stream and (self.wants_events or not format_.is_plain):
            self._stream(result)
        elif self.wants_events and format_.is_plain:
            self._stream(iter((result,)))
        else:
            self._answer(result, is_stream=is_stream)

    def _answer(self, result: Any, *, is_stream: bool) -> None:
        serving, format_ = self.serving, self.format
        try:
            if is_stream:
                serving.entered(self)
                result = list(result)
            answer = format_.result(result)
        except BaseException as error:
            if not is_stream or serving.left(self):
                self._answer_error(error)
            return
        if is_stream and not serving.left(self):
            return
        self.ended(is_error=False)
        self.caller.answer(200, format_.content_type, answer)

    def _refuse(self, refused: Refused, *, is_error: bool = False) -> None:
        self.ended(is_error=is_error)
        self.caller.refuse(refused)

    def _fail(self, error: BaseException) -> None:
        """Turn an error of the module into an answer; a reader of events gets it as one."""
        if self.wants_events and self.format.is_plain:
            self._stream(raising(error))
        else:
            self._answer_error(error)

    def _answer_error(self, error: BaseException) -> None:
        self.serving.on_raised(error)
        answer = self.format.error(error)
        self.ended(is_error=True)
        self.caller.answer(500, self.format.content_type, answer)

    def _stream(self, items: Any) -> None:
        self._is_streaming = True
        Stream(self, items).run()

    async def _stream_here(self, items: Any) -> None:
        self._is_streaming = True
        await Stream(self, items).run_later()


def is_async(function: Any) -> bool:
    """Whether all that a call of it runs is a coroutine or an async generator."""
    if not inspect.isroutine(function):
        function = getattr(function, "__call__", function)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _late(why: str) -> Refused:
    return Refused(504, "Timeout", why)


# The loop itself keeps only weak references to its tasks.
_tasks: set[asyncio.Task[None]] = set()
