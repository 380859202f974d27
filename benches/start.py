"""Measures from submit to every endpoint ready, against bare servers that are started together.

    python benches/start.py [--repeats N] [--seconds S] [--plot FILE] [--smoke]

Shapes: 8 served modules side by side, a chain of 4, a binary tree of 7; each without any load, and
with `setup()` that sleeps. The ideal of a sleeping one is the sleep and a bare start, as replicas
are prepared before their children are deployed. One worker with 8 slots.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import ours
import served
import server
import table
from contestants import Place, end_cleanly

COUNTS = {"wide": 8, "chain": 4, "tree": 7}


def bare_start(count: int) -> float:
    """Return the seconds until `count` bare servers answer."""
    start = time.perf_counter()
    with served.bare_servers(count):
        return time.perf_counter() - start


def our_start(contestant: ours.Ours, shape: str, seconds: float) -> float:
    """Return the seconds from submit to ready; stop it again."""
    start = time.perf_counter()
    deployment = contestant.client.submit(served.tree(shape, seconds), name=shape)
    deployment.wait(timeout=120)
    spent = time.perf_counter() - start
    ready = [service for service in contestant.client.gateway.services() if service.endpoints]
    assert len(ready) == COUNTS[shape], f"{len(ready)} of {COUNTS[shape]} services are ready"
    deployment.stop()
    deployment.wait_stopped(timeout=60)
    return spent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of sleep in setup()")
    parser.add_argument("--plot", type=Path, help="save a picture (SVG)")
    parser.add_argument("--smoke", action="store_true", help="once and short: is it right?")
    options = parser.parse_args()
    end_cleanly()
    repeats, sleep = (1, 0.1) if options.smoke else (options.repeats, options.seconds)
    cases = [(shape, seconds) for shape in COUNTS for seconds in (0.0, sleep)]
    spans: dict[tuple[str, float], list[float]] = {case: [] for case in cases}
    bare: dict[str, list[float]] = {shape: [] for shape in COUNTS}
    with tempfile.TemporaryDirectory(prefix="bench-") as root, server.private(Path(root)) as url:
        place = Place(url=url, folder=Path(root))
        with ours.running(place, workers=1, slots=8) as contestant:
            our_start(contestant, "chain", 0.0)
            for _ in range(repeats):
                for shape, count in COUNTS.items():
                    bare[shape].append(bare_start(count))
                for shape, seconds in cases:
                    spans[shape, seconds].append(our_start(contestant, shape, seconds))
    rows = []
    for (shape, seconds), found in spans.items():
        least = statistics.median(bare[shape]) + seconds
        spent = statistics.median(found)
        name = f"{COUNTS[shape]} {shape}, setup {seconds:g} s"
        rows.append((name, f"{least:.2f} s", f"{spent:.2f} s", f"{spent / least:.2f}"))
    print(table.text(("what", "bare servers and the sleep", "rootward", "ratio"), rows))
    if options.plot:
        bars = [(row[0], float(row[3])) for row in rows]
        table.plot(options.plot, "Submit to ready, against bare servers", bars, "x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
