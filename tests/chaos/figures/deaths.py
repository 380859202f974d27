"""What follows a kill -9: how soon the registry knows, how soon others serve, what is left over."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

import psutil

from tests.chaos.figures.measured import Measured, none_of, times
from tests.chaos.figures.places import PAUSE, joined, new_town, ready, serve, table, town
from tests.chaos.witness import ownerless
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.chaos.town import Town

TOWNS = 4
KIN = 6


def dead_replica(count: int) -> list[Measured]:
    """kill -9 of a replica until it has left the mirror of the registry."""
    taken = []
    with town(1) as place:
        serve(place, "served")
        for _ in range(count):
            victim = ready(place)[0]
            began = time.perf_counter()
            os.kill(victim.pid, signal.SIGKILL)
            while any(token == victim.token for _, token, _ in table(place)):
                PAUSE.wait(0.0005)
            taken.append(time.perf_counter() - began)
    return [times("a dead replica has left the registry", taken, 0.05)]


def dead_worker(count: int) -> list[Measured]:
    """kill -9 of a worker until its endpoints are gone, and until others serve (lease 3 s)."""
    gone, back = [], []
    with town(2) as place:
        serve(place, "served")
        for _ in range(count):
            replicas = ready(place)
            victim = replicas[0].worker
            worker = next(w for w in place.workers if w.command[-1] == victim)
            theirs = {r.token for r in replicas if r.worker == victim}
            began = time.perf_counter()
            worker.process.kill()
            while any(token in theirs for _, token, _ in table(place)):
                PAUSE.wait(0.002)
            gone.append(time.perf_counter() - began)
            while len(table(place)) < 2:
                PAUSE.wait(0.002)
            back.append(time.perf_counter() - began)
            worker.process.wait()
            place.keep_workers(2)
            joined(place, 2)
    return [
        times("a dead worker's endpoints are gone", gone, 4.0),
        times("its replicas are ready elsewhere", back, 6.0),
    ]


def processes_left(count: int) -> list[Measured]:
    """Processes left 3 s after kill -9 of a worker, with kin of a replica and of a task."""
    left: list[str] = []
    killed = 0
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(new_town(2.0)) for _ in range(min(TOWNS, count))]
        for place in places:
            place.client.submit(f"{place.folder}/trees.py:family", name="family")
        while killed < count:
            for place in places:
                place.keep_workers(1)
                place.submitted += 1
                place.client.submit(f"{place.folder}/trees.py:busy", name=f"busy{place.submitted}")
            for place in places:
                wait_until(
                    lambda place=place: kin_of(place) >= KIN,
                    description="two families are whole", timeout=120,
                )  # fmt: skip
            for place in places:
                place.workers[0].process.kill()
                killed += 1
            PAUSE.wait(3.0)
            for place in places:
                place.workers[0].process.wait()
                left += ownerless(place.mark, {os.getpid()})
                place.client.deployment(f"busy{place.submitted}").cancel()
    print("\n".join(left), end="", flush=True)
    return [none_of("processes left 3 s after kill -9 of a worker", len(left), killed)]


def kin_of(place: Town) -> int:
    """Return how many processes there are that user code has started."""
    lines = []
    for process in place.below(place.workers[0]):
        with contextlib.suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    return sum("time.sleep" in line for line in lines)
