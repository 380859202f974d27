"""Measures how fast replicas follow their calls.

    python benches/scaling.py [--repeats N] [--plot FILE] [--smoke]

A step from 1 to 10 callers, of calls of a tenth of a second, one replica for 4: from the first of
the new calls until three replicas are wanted, and until they are ready. And the first call of a
chain of 4 services that sleep, none of which has a `setup()`, beside a call of the same chain when
it is awake. One worker with 8 slots.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import elastic
import ours
import server
import table
from contestants import Place, end_cleanly

CALL_S = 0.1
LENGTH = 4
PATIENCE_S = 60.0


@contextlib.contextmanager
def callers(contestant: ours.Ours, count: int) -> Iterator[None]:
    """Call the slow service from so many threads, again and again."""
    ended = threading.Event()

    def call() -> None:
        while not ended.is_set():
            contestant.client.gateway.call("busy", CALL_S)

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def seconds_until(what: str, is_so: Callable[[], bool]) -> float:
    """Return the seconds until it is so."""
    start = time.perf_counter()
    while not is_so():
        spent = time.perf_counter() - start
        assert spent < PATIENCE_S, f"not {what} within {PATIENCE_S:g} s"
        time.sleep(0.005)
    return time.perf_counter() - start


def step(contestant: ours.Ours) -> tuple[float, float]:
    """Return the seconds until more replicas are wanted, and until they are ready."""
    store = contestant.client.store.deployments

    def wanted() -> int:
        record = store.generation("busy", 1)
        return 0 if record is None else record.services["busy"]

    def ready() -> int:
        record = store.generation("busy", 1)
        return 0 if record is None else record.ready.get("busy", 0)

    with callers(contestant, 1):
        seconds_until("one replica wanted", lambda: wanted() == 1 and ready() == 1)
        with callers(contestant, 9):
            asked = seconds_until("three replicas wanted", lambda: wanted() >= 3)
            up = asked + seconds_until("three replicas ready", lambda: ready() >= 3)
    seconds_until("one replica wanted again", lambda: wanted() == 1)
    return asked, up


def wake(contestant: ours.Ours) -> tuple[float, float]:
    """Return the seconds of the first call of a chain that sleeps, and of one right after it."""
    store = contestant.client.store.deployments

    def is_asleep() -> bool:
        record = store.generation("chain", 1)
        return record is not None and len(record.scaling.asleep) == LENGTH and not record.replicas

    seconds_until("the chain asleep", is_asleep)
    spans = []
    for _ in range(2):
        start = time.perf_counter()
        assert contestant.client.gateway.call("chain", 0) == LENGTH
        spans.append(time.perf_counter() - start)
    return spans[0], spans[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plot", type=Path, help="save a picture (SVG)")
    parser.add_argument("--smoke", action="store_true", help="once: is it right?")
    options = parser.parse_args()
    end_cleanly()
    repeats = 1 if options.smoke else options.repeats
    with tempfile.TemporaryDirectory(prefix="bench-") as root, server.private(Path(root)) as url:
        place = Place(url=url, folder=Path(root))
        with ours.running(place, workers=1, slots=8) as contestant:
            for tree in (elastic.busy(), elastic.chain(LENGTH)):
                contestant.client.submit(tree).wait(timeout=120)
            steps = [step(contestant) for _ in range(repeats)]
            wakes = [wake(contestant) for _ in range(repeats)]
            for name in ("busy", "chain"):
                deployment = contestant.client.deployment(name)
                deployment.stop()
                deployment.wait_stopped(timeout=60)
    rows = [
        ("1 to 10 callers: three replicas wanted", *spread([asked for asked, _ in steps])),
        ("1 to 10 callers: three replicas ready", *spread([up for _, up in steps])),
        (f"a chain of {LENGTH} from zero, first call", *spread([first for first, _ in wakes])),
        (f"a chain of {LENGTH} awake, a call", *spread([second for _, second in wakes])),
    ]
    print(table.text(("what", "median", "longest"), rows))
    if options.plot:
        bars = [(row[0], float(row[1].removesuffix(" s"))) for row in rows]
        table.plot(options.plot, "Following the calls", bars, "s")
    return 0


def spread(spans: list[float]) -> tuple[str, str]:
    """Return the median and the longest of some seconds."""
    return f"{statistics.median(spans):.3f} s", f"{max(spans):.3f} s"


if __name__ == "__main__":
    sys.exit(main())
