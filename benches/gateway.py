"""Measures the gateway against a direct connection, proxies and other servers, in one run.

    python benches/gateway.py [--rounds N] [--seconds S] [--peers a,b] [--plot FILE] [--check]
                              [--soak CALLS] [--smoke] [--absolute]

wrk (apt-get install wrk) loads each way in turn, round by round, over 1 and 16 connections; what
counts are the ratios of the medians. HAProxy, Traefik, Ray Serve and BentoML are installed into
`--cache` when they are first needed. Then come the cost of finding a replica in tables of 10 and of
10,000, and the time from a change of the registry to the first call that follows it. `--soak` makes
so many calls and tells what memory the gateway holds after a tenth, half and all of them. With
`--check`, a limit that isn't kept is exit code 1.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import timeit
from dataclasses import dataclass
from pathlib import Path

import changes
import doors
import psutil
import server
import table
import wrk
from contestants import end_cleanly
from doors import Street, Way
from peers import catalogue

CONNECTIONS = (1, 16)
PEERS = ("haproxy", "traefik", "ray", "bentoml")
HEAD = ("way", "p50", "p99", "calls/s", "CPU of the door", "CPU of all")
# Routed against direct, CPU of the door against HAProxy's, many endpoints against few, ms.
LIMITS = {"p50": 2.0, "cpu": 2.5, "choosing": 2.0, "routed_ms": 50.0, "memory": 1.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one load came to: times in microseconds, CPU in microseconds a call."""

    p50: float
    p99: float
    rate: float
    door: float
    whole: float


Runs = dict[tuple[str, int], list[Run]]


def load(way: Way, connections: int, seconds: int, script: Path) -> tuple[Run, int]:
    """Load a way; return what that came to, and how many calls it were."""
    before = doors.cpu_s(way.door), doors.cpu_s(way.whole)
    found = wrk.load(way.url, connections, seconds, script)
    run = Run(
        p50=found.p50,
        p99=found.p99,
        rate=found.rate,
        door=(doors.cpu_s(way.door) - before[0]) / found.calls * 1e6,
        whole=(doors.cpu_s(way.whole) - before[1]) / found.calls * 1e6,
    )
    return run, found.calls


def choosing_us(endpoints: int) -> float:
    """Return what finding the replica of a call costs in a table of so many endpoints."""
    from rootward.orchestrator.gateway.proxy.table import Table
    from rootward.orchestrator.gateway.proxy.views import EndpointView, ServiceView

    known, each = Table(), 10
    for number in range(endpoints // each):
        replicas = tuple(
            EndpointView(
                host="127.0.0.1", port=1 + n, token="t", replica=f"{number}-{n}", worker=""
            )
            for n in range(each)
        )
        path = f"app{number}/echo"
        view = ServiceView(
            path=path, deployment=path, generation=1, wanted=each, endpoints=replicas
        )
        known.put(f"app{number}", [view])
    path = f"/services/app{endpoints // each - 1}/echo/call"
    count = 20_000
    took = min(timeit.repeat(lambda: known.match(path).service.choose(0.0), number=count, repeat=5))
    return took / count * 1e6


def soak(way: Way, calls: int, script: Path) -> dict[str, float]:
    """Make so many calls; return the megabytes that the door holds on the way."""
    done, held = 0, {}
    process = psutil.Process(way.door[0])
    for share in (0.1, 0.5, 1.0):
        while done < share * calls:
            done += load(way, 16, 5, script)[1]
        held[f"{share:.0%}"] = process.memory_info().rss / 2**20
        print(f"  {done:,} calls: {held[f'{share:.0%}']:.1f} MiB", flush=True)
    return held


def medians(runs: Runs) -> dict[tuple[str, int], Run]:
    return {
        key: Run(
            **{
                name: statistics.median(getattr(run, name) for run in found)
                for name in Run.__slots__
            }
        )
        for key, found in runs.items()
    }


def report(found: dict[tuple[str, int], Run], *, absolute: bool) -> list[str]:
    """Print the tables, and return the limits that weren't kept."""
    missed = []
    for connections in CONNECTIONS:
        here = {name: run for (name, count), run in found.items() if count == connections}
        base, routed = here["direct"], here["gateway"]
        rows = [_row(name, run, base, routed, absolute=absolute) for name, run in here.items()]
        print(f"\n{connections} connection(s), as multiples of direct (CPU: of our gateway's)\n")
        print(table.text(HEAD, rows))
        if routed.p50 > LIMITS["p50"] * base.p50:
            missed.append(f"p50 over {connections}: {routed.p50 / base.p50:.2f} times direct")
        haproxy = here.get("haproxy")
        if haproxy is not None and routed.door > LIMITS["cpu"] * haproxy.door:
            ratio = routed.door / haproxy.door
            missed.append(f"CPU over {connections}: {ratio:.2f} times HAProxy's")
    return missed


def _row(name: str, run: Run, base: Run, routed: Run, *, absolute: bool) -> tuple[str, ...]:
    if absolute:
        figures = (run.p50, run.p99, run.rate, run.door, run.whole)
        return (name, *(f"{figure:.0f}" for figure in figures))
    figures = (
        run.p50 / base.p50,
        run.p99 / base.p99,
        run.rate / base.rate,
        run.door / routed.door,
        run.whole / routed.whole,
    )
    return (name, *(f"{figure:.2f}" if figure else "-" for figure in figures))


def measure(street: Street, options: argparse.Namespace) -> list[str]:
    """Open all ways and measure; return the limits that weren't kept."""
    script = street.folder / "post.lua"
    script.write_text(wrk.SCRIPT)

    def programs(group: str) -> Path | None:
        if options.smoke:
            return None
        return catalogue.environment(street.cache, catalogue.requirements(group)) / "bin"

    asked = tuple(each for each in options.peers.split(",") if each)
    ways = []
    for opening in doors.openings(asked, programs):
        try:
            ways.append(opening(street))
        except TimeoutError as error:
            # Others' servers are no reason to say nothing about ours.
            if len(ways) < 2:
                raise
            logs = sorted(street.folder.glob("*.log"), key=lambda log: log.stat().st_mtime)
            print(f"left out: {error}\n{logs[-1].read_text(errors='replace')[-600:]}")
    print("ways:", ", ".join(way.name for way in ways), flush=True)
    runs: Runs = {}
    for turn in range(-1, options.rounds):
        for way in ways:
            for connections in CONNECTIONS:
                # The first turn only warms up.
                seconds = 1 if turn < 0 else options.seconds
                run, _ = load(way, connections, seconds, script)
                if turn >= 0:
                    runs.setdefault((way.name, connections), []).append(run)
    found = medians(runs)
    missed = report(found, absolute=options.absolute)
    few, many = choosing_us(10), choosing_us(10_000)
    print(f"\nfinding a replica among 10,000: {many / few:.2f} times among 10")
    if many > LIMITS["choosing"] * few:
        missed.append("finding a replica among 10,000")
    spans = sorted(changes.routed_ms(street, options.changes))
    p99 = spans[int(0.99 * (len(spans) - 1))]
    print(f"change to routed: p50 {statistics.median(spans):.1f} ms, p99 {p99:.1f} ms")
    if p99 > LIMITS["routed_ms"]:
        missed.append(f"change to routed: p99 {p99:.0f} ms")
    if options.soak:
        held = soak(ways[1], options.soak, script)
        if held["100%"] > LIMITS["memory"] * held["10%"]:
            missed.append("memory grows with calls")
    if options.plot:
        _plot(options.plot, found)
    return missed


def _plot(path: Path, found: dict[tuple[str, int], Run]) -> None:
    bars = []
    for connections in CONNECTIONS:
        base = found["direct", connections]
        for (name, count), run in found.items():
            if count == connections:
                bars.append((f"{name}, {connections} connection(s)", run.p50 / base.p50))
    table.plot(path, "Median time of a call, as a multiple of direct", bars, "x")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each load")
    parser.add_argument("--changes", type=int, default=200, help="changes of the registry")
    parser.add_argument("--peers", default=",".join(PEERS), help="who is compared, '' for none")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "rootward-bench")
    parser.add_argument("--soak", type=int, default=0, metavar="CALLS")
    parser.add_argument("--absolute", action="store_true", help="microseconds, not multiples")
    parser.add_argument("--plot", type=Path, help="save a picture (SVG)")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="little of all: is it right?")
    options = parser.parse_args()
    end_cleanly()
    wrk.require()
    if options.smoke:
        options.rounds, options.seconds, options.changes = 1, 1, 5
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        url = stack.enter_context(server.private(folder))
        street = Street(folder=folder, url=url, cache=options.cache, stack=stack)
        missed = measure(street, options)
    for each in missed:
        print(f"not kept: {each}")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
