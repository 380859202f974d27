"""Batches: calls of one replica that are under way together become one call of `forward_batch`.

Calls gather on the replica's loop; one batch at a time runs, in a thread of its own or, when
`forward_batch` is a coroutine, on the loop. How long the first call waits for others follows from
how many there were last: a call that was alone waits for nobody. `pre` and `post` are run for each
call, in the same thread. What always holds: each call gets its own result or error, once.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ..processes.thread_pool import ThreadPool

if TYPE_CHECKING:
    from ..server import ServerModule

_TYPES = (list, tuple)


@dataclass(slots=True, eq=False)
class _Call:
    """One call that waits for its batch, or for the end of it."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    ended: asyncio.Future[None]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    value: Any = None
    error: BaseException | None = None


class BatchRunner:
    """Gathers the calls of a module that is served in batches; belongs to one event loop.

    `limit_s` is how long a batch may run: `on_overdue` is called, with the reason, when it doesn't
    end by then.
    """

    def __init__(
        self,
        module: ServerModule,
        *,
        limit_s: float | None = None,
        on_overdue: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Run nothing yet; raises TypeError when there is nothing to run."""
        assert module.max_batch is not None
        self._module, self._most = module, module.max_batch
        self._wait_s = module.batch_wait_ms / 1000
        self._limit_s, self._on_overdue = limit_s, on_overdue
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPool("rootward-batch", 1)
        self._waiting: list[_Call] = []
        self._is_running = False
        # As many calls as came together last: so many are worth waiting for.
        self._expected = 1
        self._timer: asyncio.TimerHandle | None = None

    async def answer(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the batch gives for this call; raises what it raises for it."""
        if self._module.is_method_call(args):
            return await asyncio.to_thread(self._module.answer, *args, **kwargs)
        call = _Call(args, kwargs, self._loop.create_future())
        self._waiting.append(call)
        self._look()
        await call.ended
        if call.error is not None:
            raise call.error
        return call.value

    def _look(self) -> None:
        """Run what waits when it is enough, or has waited enough."""
        self._waiting = [call for call in self._waiting if not call.ended.done()]
        if self._is_running or not self._waiting:
            return
        enough = min(self._most, self._expected)
        if len(self._waiting) >= enough or not self._wait_s:
            self._run()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._wait_s, self._run)

    def _run(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Whoever has given up meanwhile is not computed for.
        waiting = [call for call in self._waiting if not call.ended.done()]
        calls, self._waiting = waiting[: self._most], waiting[self._most :]
        if not calls:
            return
        self._is_running = True
        overdue = None
        if self._limit_s is not None:
            why = f"a batch took longer than its call_timeout of {self._limit_s:g} s"
            overdue = self._loop.call_later(self._limit_s, self._on_overdue, why)
        batch = Batch(self._module, calls)
        done = partial(self._done, calls, overdue)
        if inspect.iscoroutinefunction(self._module.m.forward_batch):
            task = self._loop.create_task(batch.run_later(), context=calls[0].context)
            task.add_done_callback(lambda _: done())
        else:
            self._thread.submit(partial(self._run_in_thread, batch, done))

    def _run_in_thread(self, batch: Batch, done: Callable[[], None]) -> None:
        batch.run()
        try:
            self._loop.call_soon_threadsafe(done)
        except RuntimeError:
            # The loop has ended, and all who wait with it.
            return

    def _done(self, calls: list[_Call], overdue: asyncio.TimerHandle | None) -> None:
        if overdue is not None:
            overdue.cancel()
        self._is_running = False
        for call in calls:
            if not call.ended.done():
                call.ended.set_result(None)
        # Those that came meanwhile would have been in it.
        self._expected = len(calls) + len(self._waiting)
        self._look()


class Batch:
    """One call of `forward_batch`, for several calls."""

    def __init__(self, module: ServerModule, calls: list[_Call]) -> None:
        """Run nothing yet."""
        self._module, self._calls = module, calls

    def run(self) -> None:
        """Compute what each call gets; raises nothing."""
        if ready := self._prepared():
            try:
                inputs = [call.value for call in ready]
                results = ready[0].context.copy().run(self._module.m.forward_batch, inputs)
            except BaseException as error:
                self._fail(ready, error)
            else:
                self._hand_out(ready, results)

    async def run_later(self) -> None:
        """Do what `run` does, where `forward_batch` is a coroutine."""
        if ready := self._prepared():
            try:
                results = await self._module.m.forward_batch([call.value for call in ready])
            except BaseException as error:
                self._fail(ready, error)
            else:
                self._hand_out(ready, results)

    def _prepared(self) -> list[_Call]:
        """Return the calls whose input is there, as `value`; the others have their error."""
        ready = []
        for call in self._calls:
            try:
                call.value = call.context.copy().run(self._input, call)
            except BaseException as error:
                call.error = error
            else:
                ready.append(call)
        return ready

    def _input(self, call: _Call) -> Any:
        given = (*call.args, *call.kwargs.values())
        if self._module.pre is not None:
            return self._module.pre(*call.args, **call.kwargs)
        if len(given) != 1:
            raise TypeError(
                f"{self._label} is served in batches, so a call has one argument, not {len(given)}"
            )
        return given[0]

    def _fail(self, calls: list[_Call], error: BaseException) -> None:
        for call in calls:
            call.error = error

    def _hand_out(self, calls: list[_Call], results: Any) -> None:
        if (wrong := self._wrong(len(calls), results)) is not None:
            self._fail(calls, wrong)
            return
        for call, result in zip(calls, results, strict=True):
            if isinstance(result, BaseException):
                call.error = result
                continue
            try:
                call.value = call.context.copy().run(self._finished, result)
            except BaseException as error:
                call.error = error

    def _wrong(self, count: int, results: Any) -> Exception | None:
        """Return the error of a result that isn't one item for each input; None when it is."""
        name = f"forward_batch of {self._label}"
        if not isinstance(results, _TYPES):
            kind = type(results).__name__
            return TypeError(f"{name} returned {kind}, not a list of {count} results")
        if len(results) != count:
            return ValueError(f"{name} returned {len(results)} results for {count} inputs")
        return None

    def _finished(self, result: Any) -> Any:
        if hasattr(result, "__next__") or hasattr(result, "__anext__"):
            raise TypeError(
                f"forward_batch of {self._label} gave a {type(result).__name__}: "
                "what is served in batches can't stream"
            )
        return result if self._module.post is None else self._module.post(result)

    @property
    def _label(self) -> str:
        return type(self._module.m).__name__
