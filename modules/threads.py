"""Running several functions at once in threads of their own.

Every function runs to its end whatever happens to the others, and sees the context of the caller.
Threads are made for one call and belong to it alone, so that flows within flows never wait for each
other's places.
"""

from __future__ import annotations

from contextvars import copy_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


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
    waiting = iter(range(len(functions)))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                index = next(waiting, None)
            if index is None:
                return
            try:
                results[index] = functions[index]()
            except BaseException as error:  # raised below, in the caller's thread
                failures[index] = error

    threads = [
        # Daemons: an interrupted caller does not wait for what it has given up.
        threading.Thread(target=copy_context().run, args=(work,), daemon=True)
        for _ in range(min(limit, len(functions)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        _raise([failures[index] for index in sorted(failures)], what, len(functions))
    return results


def _raise(failures: list[BaseException], what: str, count: int) -> None:
    if len(failures) == 1:
        raise failures[0]
    raise BaseExceptionGroup(f"{what}: {len(failures)} of {count} failed", failures)
