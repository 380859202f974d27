"""Measures what grows with the size of a tree: planning, submitting, memory; and idle agents.

    python benches/scale.py [--sizes N,N] [--tasks N] [--replicas N] [--idle S] [--out FILE]
                            [--plot FILE] [--smoke]

Planning is compared with a bare post-order walk over the same modules, submitting with a raw
pipeline that writes the same bytes; memory is the server's own count, without what it had before.
What compares is run in turn, several times, and medians are told. `--out` keeps the rows as JSON,
each as soon as it is known.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import nodes
import ours
import redis
import served
import server
import table
import traces
from contestants import Place, end_cleanly
from shapes import shape

from rootward import orchestrator
from rootward.modules import ServerModule
from rootward.orchestrator.client.client import plan

Row = tuple[str, str, str]


REPEATS = 3


def seconds(*calls: Callable[[], object]) -> list[float]:
    """Return the median time of each call; they are made in turn."""
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(REPEATS):
        for call, spans in zip(calls, found, strict=True):
            start = time.perf_counter()
            call()
            spans.append(time.perf_counter() - start)
    return [statistics.median(spans) for spans in found]


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


def planning(sizes: list[int]) -> Iterator[Row]:
    """Plan random trees."""
    for size in sizes:
        tree = nodes.tree(f"random-{size}")
        bare, spent = seconds(
            partial(walk, tree), partial(plan, tree, ("train", "deploy"), name="tree")
        )
        yield f"collect and plan {size}", f"{spent * 1000:.0f} ms", f"{spent / bare:.1f} x"


def write(client: redis.Redis, jobs: list[dict[bytes, bytes]]) -> None:
    """Write hashes and push their ids, a thousand at a time."""
    for start in range(0, len(jobs), 1000):
        with client.pipeline(transaction=False) as pipeline:
            for index, job in enumerate(jobs[start : start + 1000], start):
                pipeline.hset(f"raw:{index}", mapping=job)
                pipeline.rpush("raw:queue", f"raw:{index}")
            pipeline.execute()


def submitting(url: str, count: int) -> Iterator[Row]:
    """Submit a tree without workers, and write the same bytes raw."""
    client = redis.Redis.from_url(url, protocol=2)
    name = f"random_{count}"
    with orchestrator.connect(url, secret=secrets.token_hex(32)) as ours_:
        ours_.submit("nodes:random_10", name="warm", kinds=("train",))
        before = server.usage(client)
        ours_.submit(f"nodes:{name}", name="big", kinds=("train",))
        used = server.usage(client).since(before)
        jobs = [client.hgetall(key) for key in client.scan_iter("rq:job:*big-1-*", count=5000)]
        assert len(jobs) == count, f"{len(jobs)} jobs of {count} tasks are found"
        names = iter(f"again-{number}" for number in range(REPEATS))
        spent, planned, raw = seconds(
            lambda: ours_.submit(f"nodes:{name}", name=next(names), kinds=("train",)),
            lambda: plan(nodes.tree(f"random-{count}"), ("train",), name="big"),
            lambda: write(client, jobs),
        )
    client.flushall()
    yield f"submit {count}: in all", f"{spent * 1000:.0f} ms", f"{spent / raw:.1f} x"
    yield "  of it, building and planning", f"{planned * 1000:.0f} ms", f"{planned / raw:.1f} x"
    yield "  raw pipeline, same bytes", f"{raw * 1000:.0f} ms", "1 x"
    yield "memory of a queued task", f"{used.memory / count:.0f} B", ""


def finishing(url: str, folder: Path, count: int, idle_s: float) -> Iterator[Row]:
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
        yield "memory of a finished task", f"{memory:.0f} B", ""
        yield from idling(client, contestant, idle_s)


def serving(url: str, folder: Path, count: int, idle_s: float) -> Iterator[Row]:
    """Leave one worker with replicas that nobody calls."""
    client = redis.Redis.from_url(url, protocol=2)
    with ours.running(Place(url=url, folder=folder), workers=1) as contestant:
        tree = ServerModule(served.Echo(), name="echo", replicas=count)
        deployment = contestant.client.submit(tree, name="echo").wait(timeout=300)
        ready = sum(len(each.endpoints) for each in contestant.client.gateway.services())
        assert ready == count, f"{ready} of {count} replicas are ready"
        # What the start has left behind, and the first renewals.
        time.sleep(min(idle_s, 5))
        before, cpu_s, agent_s = server.usage(client), contestant.cpu_s(), contestant.own_cpu_s()
        time.sleep(idle_s)
        used, spent = server.usage(client).since(before), contestant.cpu_s() - cpu_s
        agent_s = contestant.own_cpu_s() - agent_s
        deployment.stop()
        deployment.wait_stopped(timeout=60)
    what = f"{count} idle replicas"
    yield f"{what}: CPU of the agent", f"{100 * agent_s / idle_s:.2f} %", ""
    yield f"{what}: CPU with the replicas", f"{100 * spent / idle_s:.2f} %", ""
    yield f"{what}: commands, those of scripts too", f"{used.commands / idle_s:.1f} /s", ""


def idling(client: redis.Redis, contestant: ours.Ours, idle_s: float) -> Iterator[Row]:
    """Leave two workers with nothing to do; what is told is that of one."""
    time.sleep(3)
    before, cpu_s = server.usage(client), contestant.cpu_s()
    time.sleep(idle_s)
    used, spent = server.usage(client).since(before), contestant.cpu_s() - cpu_s
    each = idle_s * 2
    yield "idle agent: reads of sockets", f"{used.reads / each:.1f} /s", ""
    yield "idle agent: commands, those of scripts too", f"{used.commands / each:.1f} /s", ""
    yield "idle agent: CPU", f"{100 * spent / each:.2f} %", ""


class Report:
    """The rows so far, printed and kept as they come."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.rows: list[Row] = []

    def take(self, rows: Iterator[Row]) -> None:
        """Measure some more."""
        for row in rows:
            print(*row, sep="  ", file=sys.stderr)
            self.rows.append(row)
            if self._path is not None:
                self._path.write_text(json.dumps(self.rows, indent=1))

    def table(self) -> str:
        """Return all rows as a table."""
        return table.text(("what", "measured", "ratio"), self.rows)

    def plot(self, path: Path) -> None:
        """Save what is a ratio as a picture."""
        bars = [(what, float(ratio.split()[0])) for what, _, ratio in self.rows if ratio]
        table.plot(path, "Costs that grow with a tree, as ratios", bars, "x")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,10000,100000", help="modules, comma between")
    parser.add_argument("--tasks", type=int, default=10000)
    parser.add_argument("--replicas", type=int, default=200, help="that nobody calls")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds")
    parser.add_argument("--out", type=Path, help="keep the rows (JSON)")
    parser.add_argument("--plot", type=Path, help="save a picture (SVG)")
    parser.add_argument("--smoke", action="store_true", help="small and short: is it right?")
    options = parser.parse_args()
    end_cleanly()
    sizes = [100, 200] if options.smoke else [int(size) for size in options.sizes.split(",")]
    tasks, idle_s = (50, 1.0) if options.smoke else (options.tasks, options.idle)
    options.replicas = 5 if options.smoke else options.replicas
    report = Report(options.out)
    report.take(planning(sizes))
    with tempfile.TemporaryDirectory(prefix="bench-") as root, server.private(Path(root)) as url:
        report.take(submitting(url, tasks))
        report.take(finishing(url, Path(root), tasks, idle_s))
        report.take(serving(url, Path(root), options.replicas, idle_s))
    print(report.table())
    if options.plot:
        report.plot(options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
