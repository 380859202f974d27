"""Globals of a main program that travels by value, which no copy can be made of.

A script without a guard, standard input and notebooks send functions with the globals that they
use. A lock among these, or a context variable, is made anew in the other process, once for all
functions that use it, as it would be if that process had run the program itself.
"""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

Recipe = tuple[Callable[..., Any], tuple[Any, ...]]

_PLAIN: Final[dict[type, Callable[[], Any]]] = {
    type(threading.Lock()): threading.Lock,
    type(threading.RLock()): threading.RLock,
    threading.local: threading.local,
    threading.Condition: threading.Condition,
    queue.SimpleQueue: queue.SimpleQueue,
}


def recipe(value: Any) -> Recipe | None:
    """Return how a global of the main program is made again; None for what is copied instead."""
    kind = type(value)
    if kind not in _KINDS or not _is_main_global(value):
        return None
    if kind in _PLAIN:
        return _PLAIN[kind], ()
    if kind is contextvars.ContextVar:
        return _context_var, (value.name, *_default_of(value))
    if kind is threading.Event:
        return _event, (value.is_set(),)
    if kind in {threading.Semaphore, threading.BoundedSemaphore}:
        return kind, (value._value,)
    if kind is ThreadPoolExecutor:
        return ThreadPoolExecutor, (value._max_workers,)
    return kind, (value.maxsize,)


_KINDS: Final = frozenset(
    {
        *_PLAIN,
        contextvars.ContextVar,
        threading.Event,
        threading.Semaphore,
        threading.BoundedSemaphore,
        ThreadPoolExecutor,
        queue.Queue,
        queue.LifoQueue,
        queue.PriorityQueue,
    }
)


def _is_main_global(value: object) -> bool:
    return any(each is value for each in list(vars(sys.modules["__main__"]).values()))


def _default_of(variable: contextvars.ContextVar[Any]) -> tuple[Any, ...]:
    try:
        return (contextvars.Context().run(variable.get),)
    except LookupError:
        return ()


def _context_var(name: str, *default: Any) -> contextvars.ContextVar[Any]:
    if default:
        return contextvars.ContextVar(name, default=default[0])
    return contextvars.ContextVar(name)


def _event(is_set: bool) -> threading.Event:
    event = threading.Event()
    if is_set:
        event.set()
    return event
