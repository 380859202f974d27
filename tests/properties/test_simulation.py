"""The real scripts and controller under a virtual clock, with faults from a seed.

The long form is a command: `python -m tests.properties.simulation 24 1`.
"""

from __future__ import annotations

import os

import pytest

from tests.properties.simulation import World, WrongError

MINUTES = 14 if os.environ.get("CI") == "true" else 7


def simulated(seed: int, minutes: float, **options: object) -> World:
    world = World(seed, **options)
    with world.running():
        world.begin()
        world.live(minutes * 60)
    return world


@pytest.mark.timeout(400)
def test_nothing_is_lost_doubled_or_left_whatever_happens() -> None:
    """Invariants 1 to 4, and that all comes to an end once the faults do."""
    world = simulated(seed=20, minutes=MINUTES)
    assert sum(world.faults.values()) > 8 * MINUTES
    assert len(world.faults) == 9


@pytest.mark.timeout(400)
def test_a_seed_tells_the_same_story_again() -> None:
    assert simulated(7, 5).trace == simulated(7, 5).trace


PLANTED = {
    "a finish counts twice": (
        "exchange",
        "if job.state ~= 'running' then return 'repeated' end",
        "",
        "accepted twice",
    ),
    "the barrier opens early": (
        "exchange",
        "'rw_wait', -counts[index]) == 0",
        "'rw_wait', -counts[index]) <= 1",
        "began before",
    ),
    "a lost task isn't given back": (
        "sweep",
        "requeue(g, job, true, '')\n  return true",
        "return true",
        "is progressing",
    ),
    "a late request claims": (
        "exchange",
        "string.sub(request, 1, 8) < string.sub(v[2], 1, 8)",
        "false",
        "seed 3",
    ),
    "a jump ends leases": (
        "sweep",
        "if gap > math.min(3000, 0.6 * lease) or gap < 0 then",
        "if false then",
        "renewed",
    ),
    "endpoints outlive their worker": (
        "sweep",
        "    if name then\n      drop_replica(",
        "    if name then\n      tostring(",
        "seed 3",
    ),
}
QUICK = ("a finish counts twice", "the barrier opens early", "a jump ends leases")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", QUICK if os.environ.get("ROUNDS") != "all" else PLANTED)
def test_a_planted_fault_is_caught(name: str) -> None:
    script, old, new, verdict = PLANTED[name]
    with pytest.raises(WrongError, match=verdict):
        simulated(3, 60, mutations={script: (old, new)})
