"""Runs trees of tasks on rootward, its peers and the raw loop in turn, and prints the ratios.

    python benches/engine.py [--shapes S,S] [--contestants C,C] [--repeats N] [--plot F] [--smoke]

Every run is checked from the trace that its tasks wrote: each node once, children before parents,
the root counted all. A repeat runs each contestant on each shape before the next begins, so that
other work on the machine slows all of them alike. Workers are started before and are not measured;
submitting is. Peers get environments of their own in `--cache`, made when they are first needed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ours
import raw
import redis
import server
import table
import traces
from contestants import Contestant, Place, end_cleanly
from peers import catalogue
from shapes import SLOTS, Shape, shape

SHAPES = (
    "flat-100,flat-1000,flat-3000,flat-10000,binary-1023,chain-200,ten-1111,random-10000,"
    "stages-1000,sleeping-63"
)
SMOKE = "flat-50,binary-31,chain-10,stages-40,sleeping-7"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run; per-task figures are seconds of CPU, commands and reads of sockets."""

    makespan_s: float
    submit_s: float
    worker_cpu_s: float
    server_cpu_s: float
    commands: float
    reads: float


class Runner:
    """One contestant on its own server."""

    def __init__(self, contestant: Contestant, client: redis.Redis, folder: Path) -> None:
        self._contestant, self._client, self._folder = contestant, client, folder

    def run(self, known: Shape) -> Result:
        """Run a shape and check it."""
        traces.clear(self._folder, known.name)
        before, cpu_s = server.usage(self._client), self._contestant.cpu_s()
        start = time.perf_counter()
        submit_s = self._contestant.run(known.name)
        makespan_s = time.perf_counter() - start
        used = server.usage(self._client).since(before)
        worker_cpu_s = self._contestant.cpu_s() - cpu_s
        traces.check(self._folder, known)
        self._contestant.clear()
        count = len(known)
        return Result(
            makespan_s=makespan_s,
            submit_s=submit_s,
            worker_cpu_s=worker_cpu_s / count,
            server_cpu_s=used.cpu_s / count,
            commands=used.commands / count,
            reads=used.reads / count,
        )


Opening = Callable[[Place], AbstractContextManager[Contestant]]


def openings(cache: Path) -> dict[str, Opening]:
    """Return how to start each contestant; the raw loop sleeps in as many processes as slots."""
    known: dict[str, Opening] = {"raw": raw.running, "rootward": ours.running}
    known |= {name: partial(peer.running, cache=cache) for name, peer in catalogue.PEERS.items()}
    return known


@contextlib.contextmanager
def place(name: str, opening: Opening, root: Path) -> Iterator[Runner]:
    """Start a contestant and its server."""
    folder = root / name
    folder.mkdir()
    with server.private(folder) as url, opening(Place(url=url, folder=folder)) as contestant:
        yield Runner(contestant, redis.Redis.from_url(url), folder)


def measure(
    names: Sequence[str], shapes: Sequence[str], repeats: int, cache: Path
) -> dict[tuple[str, str], list[Result]]:
    """Return the results by contestant and shape; the first round warms up and isn't counted."""
    results: dict[tuple[str, str], list[Result]] = {(n, s): [] for n in names for s in shapes}
    known = openings(cache)
    with tempfile.TemporaryDirectory(prefix="bench-") as root, contextlib.ExitStack() as stack:
        sleeping = any(shape(each).sleep_s for each in shapes)
        runners = {n: stack.enter_context(place(n, known[n], Path(root))) for n in names}
        if sleeping and "raw" in names:
            wide = partial(raw.running, processes=SLOTS)
            runners["raw asleep"] = stack.enter_context(place("raw-asleep", wide, Path(root)))
        for name in names:
            runners[name].run(shape("flat-20"))
        # What was measured before it was interrupted is told all the same.
        with contextlib.suppress(KeyboardInterrupt):
            for name, each in [(n, s) for _ in range(repeats) for s in shapes for n in names]:
                asleep = shape(each).sleep_s and name == "raw"
                runner = runners["raw asleep"] if asleep else runners[name]
                with _told(name, each):
                    results[name, each].append(runner.run(shape(each)))
    return {key: found for key, found in results.items() if found}


@contextlib.contextmanager
def _told(name: str, each: str) -> Iterator[None]:
    """Let a peer that fails a shape be known for it; rootward and the raw loop must not."""
    try:
        yield
    except Exception as error:
        if name in {"raw", "rootward"}:
            raise
        print(f"{name}: {each}: {type(error).__name__}: {error}", file=sys.stderr)


def report(results: dict[tuple[str, str], list[Result]]) -> str:
    """Return the table: medians and minima, and ratios to the raw loop's median or the ideal."""
    rows = []
    for (name, each), found in results.items():
        spans = [result.makespan_s for result in found]
        base = [r.makespan_s for r in results.get(("raw", each), [])]
        known = shape(each)
        ideal_s = known.ideal_s()
        least = ideal_s or (statistics.median(base) if base else 0)
        median = partial(_median, found)
        rows.append(
            (
                each,
                name,
                f"{statistics.median(spans) * 1000:.0f}",
                f"{min(spans) * 1000:.0f}",
                f"{statistics.median(spans) / least:.2f}" if least else "-",
                f"{len(known) / statistics.median(spans):.0f}",
                f"{median('submit_s') * 1000:.0f}",
                f"{median('worker_cpu_s') * 1e6:.0f}",
                f"{median('server_cpu_s') * 1e6:.0f}",
                f"{median('commands'):.1f}",
                f"{median('reads'):.2f}",
            )
        )
    rows.sort(key=lambda row: list(dict.fromkeys(k[1] for k in results)).index(row[0]))
    head = ("shape", "engine", "ms", "least ms", "ratio", "tasks/s", "submit ms")
    head += ("worker us/task", "server us/task", "commands/task", "reads/task")
    return table.text(head, rows)


def _median(found: Sequence[Result], field: str) -> float:
    return statistics.median(getattr(result, field) for result in found)


def versions() -> str:
    """Return one line that says what was measured with what."""
    from importlib.metadata import version

    with tempfile.TemporaryDirectory() as folder, server.private(Path(folder)) as url:
        said = server.version(url)
    packages = ", ".join(f"{name} {version(name)}" for name in ("redis", "hiredis", "rq"))
    return f"Python {platform.python_version()}, {said}, {packages}, {os.cpu_count()} cores"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", default=SHAPES, help="KIND-COUNT, comma between")
    parser.add_argument("--contestants", default="raw,rootward", help="or `all`")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plot", type=Path, help="save a picture (SVG)")
    parser.add_argument("--smoke", action="store_true", help="small shapes once: is it right?")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "rootward-bench")
    options = parser.parse_args()
    end_cleanly()
    shapes = (SMOKE if options.smoke else options.shapes).split(",")
    known = list(openings(options.cache))
    names = known if options.contestants == "all" else options.contestants.split(",")
    if unknown := set(names) - set(known):
        parser.error(f"no contestants: {', '.join(unknown)}; there are {', '.join(known)}")
    results = measure(names, shapes, 1 if options.smoke else options.repeats, options.cache)
    print(versions())
    print(report(results))
    if options.plot:
        bars = [
            (f"{each} {name}", statistics.median(r.makespan_s for r in found) * 1000)
            for (name, each), found in results.items()
        ]
        table.plot(options.plot, "Makespan of trees of empty tasks", bars, "ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
