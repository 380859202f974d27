"""Running several functions at once in threads of their own.

Every function runs to its end whatever happens to the others, and sees the context of the caller.
A thread is always there: an idle one is taken, else one more is started, so that flows within flows
never wait for each other's places.
"""

from __future__ import annotations

from contextvars import copy_context
from functools import partial

from ..state.exceptions import as_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .thread_pool import ThreadPool

_REST_S = 10.0

_pool: ThreadPool | None = None


def run_all(
    functions: Sequence[Callable[[], Any]], *, what: str, limit: int, apart: bool = False
) -> list[Any]:
    """Return the results in the order of `functions`, of which at most `limit` run at once.

    One failure is raised as it is, several as an ExceptionGroup in the order of `functions`, which
    `what` names; what isn't an Exception comes as a RemoteError, so that no function ends whoever
    called.  A single function runs in this thread unless `apart`.
    """
    if not functions:
        return []
    if len(functions) == 1 and not apart:
        return [_run_here(functions[0])]
    import threading

    results: list[Any] = [None] * len(functions)
    failures: dict[int, BaseException] = {}
    waiting = list(reversed(range(len(functions))))
    # Each thread takes one out when it has ended; who takes the first of them is the last.
    running = [True] + [False] * (min(limit, len(functions)) - 1)
    is_over = threading.Lock()
    is_over.acquire()

    def work() -> None:
        while True:
            try:
                index = waiting.pop()
            except IndexError:
                break
            try:
                results[index] = functions[index]()
            except BaseException as error:  # raised below, in the caller's thread
                failures[index] = error
        if running.pop():
            is_over.release()

    pool = _shared_pool()
    for _ in tuple(running):
        pool.submit(partial(copy_context().run, work))
    # An interrupted caller doesn't wait for what it has given up.
    is_over.acquire()
    if failures:
        _raise([failures[index] for index in sorted(failures)], what, len(functions))
    return results


def start(function: Callable[[], None]) -> None:
    """Run `function`, which must raise nothing, in a thread; return at once."""
    _shared_pool().submit(function)


def dismiss() -> None:
    """End the threads that are idle; return when they have ended."""
    if _pool is not None:
        _pool.dismiss()


def _shared_pool() -> ThreadPool:
    global _pool
    if _pool is None:
        from .thread_pool import ThreadPool

        _pool = ThreadPool("rootward-flow", rest_s=_REST_S)
    return _pool


def _run_here(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except (Exception, KeyboardInterrupt):
        # An interrupt may be the user's own.
        raise
    except BaseException as error:
        raise as_exception(error) from error


def _raise(failures: list[BaseException], what: str, count: int) -> None:
    errors = [as_exception(failure) for failure in failures]
    if len(errors) == 1:
        raise errors[0]
    raise ExceptionGroup(f"{what}: {len(errors)} of {count} failed", errors)
