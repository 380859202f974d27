"""Measures how long the command line and the modules package take to start, against bare Python.

    python benches/startup.py [--rounds N] [--check]

The three programs are run in turn, round by round, so that other work on the machine slows all of
them alike; what counts is the ratio of the medians. With --check, a ratio above its limit is exit
code 1.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

BARE = "python -c pass"
PROGRAMS = {
    BARE: [sys.executable, "-c", "pass"],
    "import modules": [sys.executable, "-c", "import modules"],
    "rootward --help": [str(Path(sys.executable).with_name("rootward")), "--help"],
}
LIMITS = {"import modules": 3.0, "rootward --help": 8.0}


def seconds(command: list[str]) -> float:
    """Return the wall time of one run, which must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(rounds: int) -> dict[str, float]:
    """Return the median wall time of each program, in seconds."""
    for command in PROGRAMS.values():
        seconds(command)  # writes what is compiled, and warms the file cache
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, command in PROGRAMS.items():
            times[name].append(seconds(command))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    medians = measure(options.rounds)
    exceeded = False
    for name, median in medians.items():
        ratio = median / medians[BARE]
        limit = LIMITS.get(name)
        exceeded |= limit is not None and ratio > limit
        allowed = f"  (limit {limit:g})" if limit else ""
        print(f"{name:16} {median * 1000:7.1f} ms  {ratio:5.2f} x{allowed}")
    return 1 if exceeded and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
