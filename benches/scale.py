"""Measures what grows with the size of a tree: planning, submitting, memory; and an idle agent.

    python benches/scale.py [--sizes N,N] [--tasks N] [--idle S] [--plot FILE] [--smoke]

Planning is compared with a bare post-order walk over the same modules, submitting with a raw
pipeline that writes the same bytes; memory is the server's own count, without what it had before.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nodes
import ours
import redis
import server
import table
import traces
from contestants import Place, end_cleanly
from shapes import shape

import orchestrator
from orchestrator.client import plan

Row = tuple[str, str, str]


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Return the median time of a call."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def walk(root: nodes.Node) -> int:
    """Visit all modules children first, as the smallest loop does."""
    count, work = 0, [(root, False)]
    while work:
        node, is_done = work.pop()
        if is_done:
            count += 1
            continue
        work.append((node, True))
        work += [(child, False) for child in node.below]
    return count


def planning(sizes: list[int]) -> list[Row]:
    """Plan random trees."""
    rows = []
    for size in sizes:
        tree = nodes.tree(f"random-{size}")
        bare = seconds(partial(walk, tree))
        spent = seconds(partial(plan, tree, ("train", "deploy"), name="tree"))
        rows.append((f"collect and plan {size}", f"{spent * 1000:.0f} ms", f"{spent / bare:.1f} x"))
    return rows


def raw_pipeline(client: redis.Redis, jobs: list[dict[bytes, bytes]]) -> float:
    """Write hashes and push their ids, a thousand at a time."""

    def write() -> None:
        for start in range(0, len(jobs), 1000):
            with client.pipeline(transaction=False) as pipeline:
                for index, job in enumerate(jobs[start : start + 1000], start):
                    pipeline.hset(f"raw:{index}", mapping=job)
                    pipeline.rpush("raw:queue", f"raw:{index}")
                pipeline.execute()

    return seconds(write)


def submitting(url: str, count: int) -> list[Row]:
    """Submit a tree without workers, then write the same bytes raw."""
    client = redis.Redis.from_url(url, protocol=2)
    name = f"random_{count}"
    with orchestrator.connect(url, secret=secrets.token_hex(32)) as ours_:
        ours_.submit("nodes:random_10", name="warm", kinds=("train",))
        before = server.usage(client)
        start = time.perf_counter()
        ours_.submit(f"nodes:{name}", name="big", kinds=("train",))
        spent = time.perf_counter() - start
        used = server.usage(client).since(before)
        planned = seconds(lambda: plan(nodes.tree(f"random-{count}"), name="big"))
    jobs = [client.hgetall(key) for key in client.scan_iter("rq:job:*big-1-*", count=5000)]
    raw = raw_pipeline(client, jobs)
    client.flushall()
    return [
        (f"submit {count}: in all", f"{spent * 1000:.0f} ms", f"{spent / raw:.1f} x"),
        ("  of it, building and planning", f"{planned * 1000:.0f} ms", f"{planned / raw:.1f} x"),
        ("  raw pipeline, same bytes", f"{raw * 1000:.0f} ms", "1 x"),
        ("memory of a queued task", f"{used.memory / count:.0f} B", ""),
    ]


def finishing(url: str, folder: Path, count: int, idle_s: float) -> list[Row]:
    """Run a tree to its end, then leave the workers idle."""
    client = redis.Redis.from_url(url, protocol=2)
    os.environ[traces.FOLDER] = str(folder)
    name = f"random-{count}"
    with ours.running(Place(url=url, folder=folder)) as contestant:
        contestant.run("flat-20")
        before = server.usage(client)
        contestant.run(name)
        traces.check(folder, shape(name))
        memory = server.usage(client).since(before).memory / count
        lasting = [key for key in client.scan_iter("rq:job:*", count=5000) if client.ttl(key) < 0]
        assert not lasting, f"{len(lasting)} tasks have no time to live"
        time.sleep(3)
        before, cpu_s = server.usage(client), contestant.cpu_s()
        time.sleep(idle_s)
        used, spent = server.usage(client).since(before), contestant.cpu_s() - cpu_s
    return [
        ("memory of a finished task", f"{memory:.0f} B", ""),
        ("idle agent: reads of sockets", f"{used.reads / idle_s / 2:.1f} /s", ""),
        ("idle agent: commands, those of scripts too", f"{used.commands / idle_s / 2:.1f} /s", ""),
        ("idle agent: CPU", f"{100 * spent / idle_s / 2:.2f} %", ""),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,10000,100000", help="modules, comma between")
    parser.add_argument("--tasks", type=int, default=10000)
    parser.add_argument("--idle", type=float, default=10.0, help="seconds")
    parser.add_argument("--plot", type=Path, help="save a picture (SVG)")
    parser.add_argument("--smoke", action="store_true", help="small and short: is it right?")
    options = parser.parse_args()
    end_cleanly()
    sizes = [100, 200] if options.smoke else [int(size) for size in options.sizes.split(",")]
    tasks, idle_s = (50, 1.0) if options.smoke else (options.tasks, options.idle)
    rows = planning(sizes)
    with tempfile.TemporaryDirectory(prefix="bench-") as root, server.private(Path(root)) as url:
        rows += submitting(url, tasks)
        rows += finishing(url, Path(root), tasks, idle_s)
    print(table.text(("what", "measured", "ratio"), rows))
    if options.plot:
        bars = [(what, float(ratio.split()[0])) for what, _, ratio in rows if ratio]
        table.plot(options.plot, "Costs that grow with a tree, as ratios", bars, "x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
