"""The real scripts and controller under a virtual clock, with faults from a seed.

The long form is a command, and CI's: `python -m tests.properties.simulation 12 1`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
from fakeredis._socket import FakeSocket

from tests.properties.ledger import WrongError
from tests.properties.simulated_network import WEIGHTS
from tests.properties.simulation import World

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTES = 20


def simulated(seed: int, minutes: float, **options: Any) -> World:
    world = World(seed, **options)
    with world.running():
        world.begin()
        world.live(minutes * 60)
    return world


@pytest.mark.timeout(400)
def test_nothing_is_lost_doubled_or_left_whatever_happens() -> None:
    """Invariants 1 to 4, and that all comes to an end once the faults do."""
    world = simulated(seed=20, minutes=MINUTES)
    assert world.network.faults.total() > 10 * MINUTES
    assert len(world.network.faults) == 12
    assert world.restored, "replicas of a store that was emptied were brought back"


@pytest.mark.timeout(400)
def test_a_seed_tells_the_same_story_whatever_python_hashes_by() -> None:
    def story(hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.properties.simulation", "0.02", "7"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        told = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=300
        )
        return told.stdout.rpartition("trace ")[2]

    assert story("1") == story("2") == simulated(7, 1.2).digest()[:16] + "\n"


@pytest.mark.timeout(400)
def test_fakeredis_itself_tells_the_same_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the simulation runs on leaves out the wire, and nothing that matters."""
    append, swift = FakeSocket.xadd, simulated(7, 1.2).digest()

    def plain(on_append: Callable[[bytes], None]) -> fakeredis.FakeRedis:
        def xadd(self: Any, key: Any, *args: bytes) -> Any:
            entry = append(self, key, *args)
            on_append(key.key)
            return entry

        monkeypatch.setattr(FakeSocket, "xadd", xadd)
        monkeypatch.setattr(FakeSocket, "smembers", lambda _, key: sorted(key.value))
        return fakeredis.FakeRedis(protocol=2)

    assert simulated(7, 1.2, server=plain).digest() == swift


PLANTED = {
    "a finish counts twice": (
        "exchange",
        "if job.state ~= 'running' then return 'r' end",
        "",
        "accepted twice",
    ),
    "the barrier opens early": (
        "exchange",
        "-counts[index]) == 0",
        "-counts[index]) <= 1",
        "began before",
    ),
    "a lost task isn't given back": (
        "sweep",
        "enqueue(job, rare.queue_at(job, home), true)\n  return true",
        "return true",
        "which is gone|is progressing",
    ),
    "a late request claims": (
        "exchange",
        "string.sub(request, 1, 8) < string.sub(v[2], 1, 8)",
        "false",
        "a late request",
    ),
    "a jump ends leases": (
        "sweep",
        "if gap > patience or gap < 0 then",
        "if false then",
        "renewed",
    ),
    "a lost replica still counts as ready": (
        "sweep",
        "  if old.state == 'ready' then count_ready(g, old.path, -1) end",
        "",
        r"live@\d+ (has|is)",
    ),
}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_caught(name: str) -> None:
    """Also what a store that is emptied all the time would cover: it begins anew each time."""
    script, old, new, verdict = PLANTED[name]
    weights = {kind: weight for kind, weight in WEIGHTS.items() if kind != "empty"}
    with pytest.raises(WrongError, match=verdict):
        simulated(3, 60, fault_every_s=1.0, mutations={script: (old, new)}, weights=weights)
