"""Dask's distributed scheduler, whose graphs have dependencies: one graph a shape.

Its scheduler stands where Redis does for the others. The second stage waits for one task that waits
for all of the first. What a node counts is passed to its parent by Dask itself.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from typing import Any

from distributed import Client
from shapes import Shape, shape
from traces import work

_runs = itertools.count()


def node(name: str, number: int, below: list[int], _after: object = None) -> int:
    """Be one task."""
    return work(number, sum(below), shape(name).sleep_s, name)


def gate(ended: list[int]) -> int:
    """Be what stands between two stages."""
    return len(ended)


def graph(known: Shape) -> tuple[dict[str, Any], str]:
    """Return the shape as a graph, with keys that no other run has, and the key of its root."""
    run = f"{known.name}-{next(_runs)}"
    keys = [f"{run}-{number}" for number in range(len(known))]
    middle = f"{run}-gate"
    tasks: dict[str, Any] = {}
    for number, below in enumerate(known.children):
        children = [keys[child] for child in below]
        tasks[keys[number]] = (node, known.name, number, children)
        if known.stages[number] and not below:
            tasks[keys[number]] += (middle,)
    if known.second < len(known):
        tasks[middle] = (gate, keys[: known.second])
    return tasks, keys[-1]


def drive() -> None:
    """Obey lines as `driving.obey` does."""
    with Client(scheduler_file=os.environ["BENCH_SCHEDULER"], set_as_default=False) as client:
        client.wait_for_workers(2)
        for line in sys.stdin:
            known = shape(line.strip())
            start = time.perf_counter()
            tasks, root = graph(known)
            future = client.get(tasks, root, sync=False)
            submitted = time.perf_counter() - start
            assert future.result() == known.root_value
            print(submitted, flush=True)
            del future


if __name__ == "__main__":
    # Tasks are named by the module's name, which workers import.
    import with_dask

    with_dask.drive()
