"""Random generators of libraries differ in forked processes, and hold what the user seeds."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from rootward.worker.child import random_state

numpy = pytest.importorskip("numpy")


def in_child(draw: Callable[[], float]) -> float:
    """Return what a forked process, reseeded as ours are, draws."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        random_state.reseed()
        os.write(writing, repr(draw()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        drawn = float(answer.read())
    os.waitpid(pid, 0)
    return drawn


def test_forked_processes_draw_different_numbers() -> None:
    assert len({in_child(lambda: float(numpy.random.random())) for _ in range(4)}) == 4


def test_what_the_user_seeds_afterwards_holds() -> None:
    def seeded() -> float:
        numpy.random.seed(7)
        return float(numpy.random.random())

    assert in_child(seeded) == in_child(seeded)


def test_a_generator_of_the_users_own_kind_is_left_alone() -> None:
    before = numpy.random.get_bit_generator()
    try:
        numpy.random.set_bit_generator(numpy.random.PCG64(3))
        random_state.reseed()
    finally:
        numpy.random.set_bit_generator(before)
