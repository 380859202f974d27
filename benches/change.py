"""Measures going back to an earlier generation, against deploying its tree anew.

    python benches/change.py [--repeats N] [--seconds S] [--smoke]

A chain of 3 served modules, each of which is trained for some time. What is timed is from the
request to the first answer of the generation that is asked for: of a deploy, of a cold rollback,
which starts replicas and trains nothing, and of a rollback to replicas that are warm; and of the
switch alone, until it is made. One worker with 4 slots.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import ours
import server
import table
from contestants import Place, end_cleanly
from served import trained

if TYPE_CHECKING:
    from rootward.orchestrator.client.client import Client
    from rootward.orchestrator.client.deployment import Deployment

NAME = "change"
PATIENCE_S = 60


def asked(ask: Callable[[], Deployment]) -> float:
    """Return the seconds until a switch has been made."""
    start = time.perf_counter()
    ask()
    return time.perf_counter() - start


def answered(client: Client, version: int, ask: Callable[[], Deployment]) -> float:
    """Return the seconds from asking for a generation to its first answer, which is `version`."""
    start = time.perf_counter()
    deployment = ask()
    deployment.wait(timeout=PATIENCE_S, progress=False)
    while client.gateway.call(NAME, 0) != version:
        if time.perf_counter() - start > PATIENCE_S:
            raise TimeoutError(f"{deployment.id} is ready and doesn't answer")
    return time.perf_counter() - start


def measured(client: Client, seconds: float, repeats: int) -> dict[str, list[float]]:
    """Return the spans of each way to the other version."""
    spans: dict[str, list[float]] = {"deploy": [], "rollback, cold": [], "rollback, warm": []}
    spans["the switch itself, warm"] = []

    def deploy(version: int) -> float:
        tree = trained(version, seconds)
        return answered(client, version, lambda: client.submit(tree, name=NAME))

    def back(version: int) -> float:
        return answered(client, version, lambda: client.rollback(NAME))

    for warm in (0, 1):
        client.settings = replace(client.settings, keep_warm=warm)
        spans["deploy"].append(deploy(1))
        spans["deploy"].append(deploy(2))
        for number in range(repeats):
            which = "rollback, warm" if warm else "rollback, cold"
            spans[which].append(back(1 if number % 2 == 0 else 2))
    for _ in range(2 * repeats):
        spans["the switch itself, warm"].append(asked(lambda: client.rollback(NAME)))
    record = client.store.deployments.get(NAME)
    assert record is not None
    assert record.warm, "nothing stayed warm"
    for number in sorted(client.store.deployments.stop(NAME)):
        client.deployment(NAME, number).wait_stopped(PATIENCE_S)
    return spans


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="of training of each module")
    parser.add_argument("--smoke", action="store_true", help="once and short: is it right?")
    options = parser.parse_args()
    end_cleanly()
    repeats, seconds = (2, 0.05) if options.smoke else (options.repeats, options.seconds)
    with tempfile.TemporaryDirectory(prefix="bench-") as root, server.private(Path(root)) as url:
        place = Place(url=url, folder=Path(root))
        with ours.running(place, workers=1, slots=4) as contestant:
            spans = measured(contestant.client, seconds, repeats)
    medians = {name: statistics.median(found) for name, found in spans.items()}
    rows = [
        (name, f"{median * 1000:.0f} ms", f"{median / medians['deploy']:.3f}")
        for name, median in medians.items()
    ]
    print(table.text(("what", "to the first answer", "ratio to a deploy"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
