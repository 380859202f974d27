"""Measures evaluations of very many small items on two workers of four slots.

    python benches/evaluation.py [--items N] [--repeats N] [--smoke]

Each item takes a millisecond, which it waits or computes. What counts is the ratio to the ideal:
all items shared by all slots, one at a time in each; those that compute can't take less than the
machine has processors for. Items that wait are computed several at once, so they may beat that.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import ours
import server
import table
from contestants import Place, end_cleanly
from evaluated import ITEM_S

WORKERS, SLOTS = 2, 4
GOAL = 1.3


def measure(items: int, repeats: int) -> dict[str, list[float]]:
    """Return the ratios to the ideal of each kind of item; raises for a wrong result."""
    os.environ["BENCH_ITEMS"] = str(items)
    at_once = {"waits": WORKERS * SLOTS, "computes": min(WORKERS * SLOTS, os.cpu_count() or 1)}
    ratios: dict[str, list[float]] = {kind: [] for kind in at_once}
    with tempfile.TemporaryDirectory() as folder, server.private(Path(folder)) as url:
        place = Place(url=url, folder=Path(folder))
        with ours.running(place, WORKERS, SLOTS) as contestant:
            for _ in range(repeats):
                for kind, width in at_once.items():
                    took_s = _once(contestant, kind, items)
                    ratios[kind].append(took_s / (items * ITEM_S / width))
    return ratios


def _once(contestant: ours.Ours, kind: str, items: int) -> float:
    begin = time.perf_counter()
    target = f"evaluated:{kind}"
    deployment = contestant.client.submit(target, name=kind, kinds=("eval",), by_value=False)
    deployment.wait(timeout=600)
    took_s = time.perf_counter() - begin
    [evaluation] = deployment.status().evaluations
    if (evaluation.result, evaluation.items, evaluation.failed) != (items, items, 0):
        raise RuntimeError(f"{kind}: {evaluation} is no evaluation of {items} items")
    return took_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="few items once: is it right?")
    options = parser.parse_args()
    end_cleanly()
    items, repeats = (12_000, 1) if options.smoke else (options.items, options.repeats)
    ratios = measure(items, repeats)
    rows = [
        (kind, f"{items:,}", f"{statistics.median(found):.2f}", f"{min(found):.2f}", f"{GOAL:g}")
        for kind, found in ratios.items()
    ]
    print(table.text(("items of 1 ms that", "items", "x ideal", "least", "goal"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
