"""Computing items in threads: as many at once as the process has time for, in the order given.

It begins with one thread and adds others while the process mostly waits, so that a hundred calls of
a model that takes seconds run at once, while items that keep the processor busy aren't begun all
together. Items are pulled when a thread is free for one; what was pulled is computed to its end.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any, Final

from ..flows.binding import resolved
from ..processes.threads import start
from ..state.exceptions import as_exception

MOST_AT_ONCE: Final = 32
REPORT_S: Final = 0.1
_WIDEN_S: Final = 0.005
_BUSY_SHARE: Final = 0.7

Compute = Callable[[Any], Any]


class Computation:
    """The computation of items, each as `(index, item)`; `results` and `failures` are by index.

    With `stops_at_failure` no item is begun after one has failed.
    """

    def __init__(
        self, compute: Compute, items: Iterator[tuple[int, Any]], *, stops_at_failure: bool = False
    ) -> None:
        """Begin nothing yet."""
        self._compute, self._items = compute, items
        self._stops_at_failure = stops_at_failure
        self.results: dict[int, Any] = {}
        self.failures: dict[int, Exception] = {}
        self.is_exhausted = False
        self.width = 0
        self.begun = 0
        self.took_s = 0.0
        self._computing_s = 0.0
        self._broken: BaseException | None = None
        self._is_closed = False
        self._active = 0
        self._change = threading.Condition()

    @property
    def latency_s(self) -> float:
        """How long one item takes, on average."""
        return self._computing_s / max(1, self.done)

    @property
    def done(self) -> int:
        """How many items have been computed, failed ones too."""
        return len(self.results) + len(self.failures)

    def run(
        self, until: float | None = None, on_progress: Callable[[int], None] | None = None
    ) -> bool:
        """Compute until nothing is left, or begin no more from `until` (monotonic seconds) on.

        Returns whether nothing is left to begin; what has begun may still run after `until`. Raises
        what reading the items raises.
        """
        began = time.monotonic()
        is_interrupted = True
        try:
            with self._change:
                self._widen(1)
                self._wait(until, on_progress)
                is_interrupted = False
        finally:
            if is_interrupted or until is not None:
                self._is_closed = True
            self.took_s = time.monotonic() - began
        if self._broken is not None:
            raise self._broken
        return self.is_exhausted

    def join(self) -> None:
        """Return when all that has begun has ended."""
        self._is_closed = True
        with self._change:
            while self._active:
                self._change.wait()
        if self._broken is not None:
            raise self._broken

    def reopen(self) -> None:
        """Let `run` go on where it was ended by its time."""
        self._is_closed = False

    def _wait(self, until: float | None, on_progress: Callable[[int], None] | None) -> None:
        at, cpu, pause = time.monotonic(), time.process_time(), _WIDEN_S
        while self._active:
            left = math.inf if until is None else until - time.monotonic()
            if left <= 0:
                return
            self._change.wait(min(pause, left))
            now = time.monotonic()
            if now - at < _WIDEN_S:
                continue
            used = (time.process_time() - cpu) / (now - at)
            at, cpu = now, time.process_time()
            if used < _BUSY_SHARE and self._active and self.width < MOST_AT_ONCE:
                self._widen(min(self.width, MOST_AT_ONCE - self.width))
            else:
                pause = min(2 * pause, REPORT_S)
            if on_progress is not None:
                on_progress(self.done)

    def _widen(self, count: int) -> None:
        for _ in range(count):
            self.width += 1
            self._active += 1
            start(partial(copy_context().run, self._work))

    def _work(self) -> None:
        try:
            took = 0.0
            while (pulled := self._pull(took)) is not None:
                began = time.monotonic()
                index, item = pulled
                try:
                    self.results[index] = self._compute(item)
                except BaseException as error:
                    self.failures[index] = named(error, index, item)
                    self._is_closed |= self._stops_at_failure
                took = time.monotonic() - began
        finally:
            with self._change:
                self._active -= 1
                self._change.notify_all()

    def _pull(self, took_s: float) -> tuple[int, Any] | None:
        with self._change:
            self._computing_s += took_s
            if self._is_closed or self.is_exhausted:
                return None
            try:
                pulled = next(self._items, None)
            except BaseException as error:  # raised by `run` or `join`, in the caller's thread
                self._broken, pulled = error, None
            self.is_exhausted = pulled is None
            self.begun += pulled is not None
            return pulled


def computes(module: Callable[..., Any]) -> Compute:
    """Return what computes one item: a dict is keyword arguments, a stream is taken whole."""

    def compute(item: Any) -> Any:
        return _whole(module(**item) if isinstance(item, dict) else module(item))

    return compute


def named(error: BaseException, index: int, item: Any) -> Exception:
    """Return the error with a note that says which item it is of."""
    found = as_exception(error)
    found.add_note(f"evaluating item {index}: {shortened(item)}")
    return found


def raise_failures(failures: dict[int, Exception], what: str, count: int) -> None:
    """Raise one failure as it is, several as an ExceptionGroup in the order of the items."""
    errors = [failures[index] for index in sorted(failures)]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup(f"evaluation of {what}: {len(errors)} of {count} failed", errors)


def shortened(item: Any) -> str:
    """Return the repr of an item, at most 200 characters; of one that has none its type."""
    try:
        return f"{item!r:.200}"
    except Exception:
        return f"a {type(item).__name__}"


def _whole(result: Any) -> Any:
    kind = type(result).__name__
    if kind == "generator":
        return list(result)
    if kind == "async_generator":
        return resolved(_collected(result))
    return resolved(result)


async def _collected(stream: Any) -> list[Any]:
    return [item async for item in stream]
