"""Threads that wait for work: a job costs one wake-up, not the start of a thread.

A Crew hands each job to the thread that has rested least, starts another when all are busy, and
lets jobs queue, in order, when it may have no more. Threads are daemons. A thread that has had
nothing to do for a while ends, where the crew was told to let it. A forked child begins without any
of them.
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


class Crew:
    """At most `limit` threads (None: as many as there are jobs); an idle one stays for `rest_s`."""

    def __init__(self, name: str, limit: int | None = None, rest_s: float | None = None) -> None:
        """Start no thread yet."""
        self._name, self._limit = name, limit
        self._rest_s = -1.0 if rest_s is None else rest_s
        self._lock = threading.Lock()
        self._idle: list[_Hand] = []
        self._hands: set[_Hand] = set()
        self._jobs: deque[Job] = deque()
        _crews.add(self)

    @property
    def is_contended(self) -> bool:
        """Whether jobs wait for a thread."""
        return bool(self._jobs)

    def submit(self, job: Job) -> None:
        """Run `job` in one of the threads; it must raise nothing."""
        with self._lock:
            if self._idle:
                hand = self._idle.pop()
            elif self._limit is None or len(self._hands) < self._limit:
                hand = _Hand()
                self._hands.add(hand)
            else:
                self._jobs.append(job)
                return
        hand.job = job
        if hand.thread is None:
            hand.thread = threading.Thread(
                target=self._work, args=(hand,), name=self._name, daemon=True
            )
            try:
                hand.thread.start()
            except RuntimeError:
                self._hands.discard(hand)
                raise
        else:
            hand.wake.release()

    def dismiss(self) -> None:
        """End the threads that have nothing to do; return when they have ended."""
        with self._lock:
            leaving, self._idle = self._idle, []
            self._hands.difference_update(leaving)
        for hand in leaving:
            hand.wake.release()
        for hand in leaving:
            if hand.thread is not None:
                hand.thread.join()

    def _work(self, hand: _Hand) -> None:
        while (job := hand.job) is not None:
            hand.job = None
            job()
            # What it holds must not live on until the next one comes.
            del job
            with self._lock:
                if self._jobs:
                    hand.job = self._jobs.popleft()
                    continue
                self._idle.append(hand)
            if not hand.wake.acquire(timeout=self._rest_s):
                self._retire(hand)

    def _retire(self, hand: _Hand) -> None:
        with self._lock:
            if hand in self._idle:
                self._idle.remove(hand)
                self._hands.discard(hand)
                return
        # Given a job, or told to go, in this very moment.
        hand.wake.acquire()

    def _forget(self) -> None:
        # The lock may have been held by a thread that doesn't exist here.
        self._lock = threading.Lock()
        self._idle, self._hands, self._jobs = [], set(), deque()


class _Hand:
    """One thread: what it does next, and the lock that it sleeps on."""

    __slots__ = ("job", "thread", "wake")

    def __init__(self) -> None:
        self.job: Job | None = None
        self.thread: threading.Thread | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


_crews: weakref.WeakSet[Crew] = weakref.WeakSet()


def _forget_all() -> None:
    for crew in list(_crews):
        crew._forget()


os.register_at_fork(after_in_child=_forget_all)
