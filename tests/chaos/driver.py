"""Chaos by command: `python -m tests.chaos.driver --faults 1000 --seed 7`.

It lives in rounds: some faults in a row, at work all the time, then the workers are made whole and
the judge asks whether everything is as it was asked for. A violation ends it with the seed, the
faults of the round and what was seen; the folder is kept.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path
from random import Random

from tests.chaos.faults import KINDS, PAUSE, strike
from tests.chaos.judge import violations
from tests.chaos.town import Town
from tests.support.waiting import wait_until

WORKERS = 3


def settle(town: Town) -> None:
    """Deploy what is served, and wait until it is."""
    town.keep_workers(WORKERS)
    town.deploy()
    wait_until(
        lambda: town.state("live") == "ready",
        description="the town lives",
        timeout=60,
    )
    town.start_calling()


def chaos(town: Town, seed: int, faults: int, per_round: int, kinds: list[str]) -> list[str]:
    """Let faults happen; return the violations of the first round that had any."""
    random, done, seen = Random(seed), 0, Counter[str]()
    began = time.monotonic()
    settle(town)
    while done < faults:
        story = []
        town.runs = {}
        for _ in range(min(per_round, faults - done)):
            if random.random() < 0.3 and len(town.runs) < 6:
                town.submit(random.randint(1, 4), pause=random.choice([0.0, 0.3]))
            story.append(strike(town, random, kinds))
            seen[story[-1].partition(":")[0]] += "nobody" not in story[-1]
            done += 1
            PAUSE.wait(random.uniform(0.0, 0.3))
            town.keep_workers(WORKERS)
        if town.is_emptied:
            # What ran was brought back, but nothing more of it can be started: as a user would.
            town.is_emptied = False
            town.deploy()
        wrong = violations(town)
        print(f"{done} faults in {time.monotonic() - began:.0f} s, calls: {town.calls}", flush=True)
        if wrong:
            return [f"seed {seed}", *story, "--", *wrong]
        for run in town.runs.values():
            with run.program:
                pass
        town.finished += len(town.runs)
    print(f"by kind: {dict(seen)}; runs: {town.finished}; violations: 0", flush=True)
    return []


def main() -> int:
    parser = argparse.ArgumentParser(description="Break a network of real processes, and judge it.")
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--round", type=int, default=20, help="faults between two judgements")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=KINDS, help="kinds of fault (all)")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rw-chaos-"))
    print(f"seed {given.seed}, folder {folder}", flush=True)
    with Town(folder, uuid.uuid4().hex) as town:
        wrong = chaos(town, given.seed, given.faults, given.round, given.only or list(KINDS))
    print("\n".join(wrong), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
