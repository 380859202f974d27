"""Running several functions at once in threads of their own.

Every function runs to its end whatever happens to the others, and sees the context of the caller.
A thread is always there: an idle one is taken, else one more is started, so that flows within flows
never wait for each other's places.
"""

from __future__ import annotations

from contextvars import copy_context
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .thread_pool import Crew

_REST_S = 10.0

_crew: Crew | None = None


def run_all(
    functions: Sequence[Callable[[], Any]], *, what: str, limit: int, apart: bool = False
) -> list[Any]:
    """Return the results in the order of `functions`, of which at most `limit` run at once.

    One failure is raised as it is, several as an ExceptionGroup in the order of `functions`, which
    `what` names.  A single function runs in this thread unless `apart`.
    """
    if not functions:
        return []
    if len(functions) == 1 and not apart:
        return [functions[0]()]
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

    crew = _hands()
    for _ in tuple(running):
        crew.submit(partial(copy_context().run, work))
    # An interrupted caller doesn't wait for what it has given up.
    is_over.acquire()
    if failures:
        _raise([failures[index] for index in sorted(failures)], what, len(functions))
    return results


def start(function: Callable[[], None]) -> None:
    """Run `function`, which must raise nothing, in a thread; return at once."""
    _hands().submit(function)


def dismiss() -> None:
    """End the threads that are idle; return when they have ended."""
    if _crew is not None:
        _crew.dismiss()


def _hands() -> Crew:
    global _crew
    if _crew is None:
        from .thread_pool import Crew

        _crew = Crew("rootward-flow", rest_s=_REST_S)
    return _crew


def _raise(failures: list[BaseException], what: str, count: int) -> None:
    if len(failures) == 1:
        raise failures[0]
    raise BaseExceptionGroup(f"{what}: {len(failures)} of {count} failed", failures)
