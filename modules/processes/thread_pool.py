"""Threads that wait for work: a job costs one wake-up, not the start of a thread.

A ThreadPool gives each job to the thread that has rested least, starts another when all are busy,
and lets jobs queue, in order, when it may have no more. Threads are daemons. One that has had
nothing to do for a while ends, if the pool lets it. A forked child begins without any of them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], object]


class ThreadPool:
    """At most `limit` threads (None: as many as there are jobs); an idle one stays for `rest_s`."""

    def __init__(self, name: str, limit: int | None = None, rest_s: float | None = None) -> None:
        """Start no thread yet."""
        self._name, self._limit = name, limit
        self._rest_s = -1.0 if rest_s is None else rest_s
        self._lock = threading.Lock()
        self._idle: list[_PoolThread] = []
        self._threads: set[_PoolThread] = set()
        self._jobs: deque[Job] = deque()
        _pools.add(self)

    @property
    def is_contended(self) -> bool:
        """Whether jobs wait for a thread."""
        return bool(self._jobs)

    def submit(self, job: Job) -> None:
        """Run `job` in one of the threads; it must raise nothing."""
        with self._lock:
            if self._idle:
                member = self._idle.pop()
            elif self._limit is None or len(self._threads) < self._limit:
                member = _PoolThread()
                self._threads.add(member)
            else:
                self._jobs.append(job)
                return
        member.job = job
        if member.thread is None:
            member.thread = threading.Thread(
                target=self._work, args=(member,), name=self._name, daemon=True
            )
            try:
                member.thread.start()
            except RuntimeError:
                self._threads.discard(member)
                raise
        else:
            member.wake.release()

    def dismiss(self) -> None:
        """End the threads that have nothing to do; return when they have ended."""
        with self._lock:
            leaving, self._idle = self._idle, []
            self._threads.difference_update(leaving)
        for member in leaving:
            member.wake.release()
        for member in leaving:
            if member.thread is not None:
                member.thread.join()

    def _work(self, member: _PoolThread) -> None:
        while (job := member.job) is not None:
            member.job = None
            job()
            # What it holds must not live on until the next one comes.
            del job
            with self._lock:
                if self._jobs:
                    member.job = self._jobs.popleft()
                    continue
                self._idle.append(member)
            if not member.wake.acquire(timeout=self._rest_s):
                self._retire(member)

    def _retire(self, member: _PoolThread) -> None:
        with self._lock:
            if member in self._idle:
                self._idle.remove(member)
                self._threads.discard(member)
                return
        # Given a job, or told to go, in this very moment.
        member.wake.acquire()

    def _forget(self) -> None:
        # The lock may have been held by a thread that doesn't exist here.
        self._lock = threading.Lock()
        self._idle, self._threads, self._jobs = [], set(), deque()


class _PoolThread:
    """One thread: what it does next, and the lock that it sleeps on."""

    __slots__ = ("job", "thread", "wake")

    def __init__(self) -> None:
        self.job: Job | None = None
        self.thread: threading.Thread | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


_pools: weakref.WeakSet[ThreadPool] = weakref.WeakSet()


def _forget_all() -> None:
    for pool in list(_pools):
        pool._forget()


os.register_at_fork(after_in_child=_forget_all)
