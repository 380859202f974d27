"""Threads that wait for work: reused, bounded, ended when they rest, forgotten by a fork."""

from __future__ import annotations

import os
import threading
from functools import partial

from rootward.modules.processes import threads
from rootward.modules.processes.thread_pool import ThreadPool
from tests.support.waiting import wait_until


def ran_in(pool: ThreadPool) -> int:
    """Return the thread that runs a job, once it has nothing to do again."""
    found: list[int] = []
    pool.submit(lambda: found.append(threading.get_ident()))
    wait_until(
        lambda: len(found) == 1 and len(pool._idle) == len(pool._threads), description="idle"
    )
    return found[0]


def test_idle_thread_is_taken_again() -> None:
    pool = ThreadPool("t", limit=4)
    assert ran_in(pool) == ran_in(pool)
    pool.dismiss()


def test_jobs_beyond_the_limit_wait_and_run_in_order() -> None:
    pool, gate, ran = ThreadPool("t", limit=1), threading.Event(), list[int]()
    pool.submit(gate.wait)
    for number in range(5):
        pool.submit(partial(ran.append, number))
    assert pool.is_contended
    assert ran == []
    gate.set()
    wait_until(lambda: ran == [0, 1, 2, 3, 4], description="all jobs have run")
    wait_until(lambda: len(pool._idle) == 1, description="the thread rests")
    pool.dismiss()


def test_thread_that_rests_for_long_ends() -> None:
    pool = ThreadPool("t", rest_s=0.01)
    found: list[threading.Thread] = []
    pool.submit(lambda: found.append(threading.current_thread()))
    wait_until(lambda: found and not found[0].is_alive(), description="it has ended")
    assert not pool._threads


def test_dismissed_threads_have_ended() -> None:
    pool = ThreadPool("t")
    found: list[threading.Thread] = []
    pool.submit(lambda: found.append(threading.current_thread()))
    wait_until(lambda: len(pool._idle) == 1, description="it rests")
    pool.dismiss()
    assert not found[0].is_alive()


def test_forked_child_starts_threads_of_its_own() -> None:
    assert threads.run_all([int, int], what="x", limit=2) == [0, 0]
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, repr(threads.run_all([int, int], what="x", limit=2)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        assert answer.read() == "[0, 0]"
    os.waitpid(pid, 0)
    threads.dismiss()
