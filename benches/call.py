"""Measures calls of served modules and trees from Python, and the registry.

    python benches/call.py [--calls N] [--repeats N] [--plot FILE] [--smoke]

One module is compared with a uvicorn echo that is called by `http.client` over one kept connection
a thread, without a codec, a signature or the choice of a replica; a binary tree of 7 with the same
tree made by hand of uvicorn and aiohttp; look-ups with a GET of Redis; and the time from the
registration of a change until the local copy has it with a PING: one in a loop that does nothing
else, and one right after each change, when as much is awake as a change finds. All take turns.

Then, with wrk over 16 connections, what one replica serves over HTTP: a coroutine and a plain
function, beside endpoints of Starlette that do the same, all on uvloop. The Python client above is
itself the limit of what it measures; wrk isn't.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import handmade
import ours
import redis
import served
import server
import table
import wrk
from contestants import Place, end_cleanly

from rootward.modules import ServerModule
from rootward.orchestrator.states import ReplicaState

CHANGES = 50
CONNECTIONS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing to measure; `cpu_s` tells the CPU of the processes that serve it.

    `prepare` is called before each call, and isn't timed.
    """

    call: Callable[[], object]
    calls: int
    callers: int = 1
    beside: str | None = None
    cpu_s: Callable[[], float] | None = None
    prepare: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one turn found: median latency and CPU a call in seconds, calls a second."""

    p50: float
    rate: float
    cpu: float


def measure(case: Case) -> Found:
    """Make the calls of a case."""
    spans: list[float] = []

    def work() -> None:
        for _ in range(case.calls // case.callers):
            case.prepare()
            start = time.perf_counter()
            case.call()
            spans.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work) for _ in range(case.callers)]
    used = case.cpu_s() if case.cpu_s is not None else 0.0
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - start
    if case.cpu_s is not None:
        used = case.cpu_s() - used
    return Found(p50=statistics.median(spans), rate=len(spans) / spent, cpu=used / len(spans))


def bare_call(port: int) -> Callable[[], object]:
    """Return a call of the bare echo, over one kept connection a thread."""
    import http.client

    kept = threading.local()

    def call() -> object:
        if not hasattr(kept, "connection"):
            kept.connection = http.client.HTTPConnection("127.0.0.1", port)
        kept.connection.request("POST", "/", b'{"args":[7]}')
        body = kept.connection.getresponse().read()
        assert body == b'{"args":[7]}'
        return body

    return call


def change(contestant: ours.Ours, name: str) -> Callable[[], object]:
    """Return what withdraws a replica or publishes it again, and waits until that is seen here."""
    store = contestant.client.store
    generation = store.deployments.get(name).current
    routes = contestant.client.registry.routes(name)
    [(record, _)] = store.registry.replicas(name, generation)
    states = [ReplicaState.UNREADY, ReplicaState.READY]

    def publish() -> None:
        seen = routes.endpoints(record.path)
        states.append(states.pop(0))
        assert store.registry.put(record.agent_id, replace(record, state=states[-1]))
        assert routes.wait(record.path, seen, 10) != seen

    return publish


def checked(call: Callable[[int], object], value: int, expected: object) -> Callable[[], object]:
    """Return a call whose result is looked at."""

    def check() -> None:
        assert call(value) == expected

    return check


@contextlib.contextmanager
def up() -> Iterator[tuple[ServerModule, ServerModule]]:
    """Serve an echo and a tree of 7."""
    modules = ServerModule(served.Echo(), name="echo"), served.adding_tree()
    for module in modules:
        module.update()
    yield modules
    for module in modules:
        module.stop()


def cases(
    contestant: ours.Ours,
    client: redis.Redis,
    modules: tuple[ServerModule, ServerModule],
    bare_port: int,
    by_hand: handmade.Tree,
    calls: int,
) -> dict[str, Case]:
    """Return what is measured, in the order of a turn."""
    gateway, (module, root) = contestant.client.gateway, modules
    names = [service.service for service in gateway.services()]
    echo = next(name for name in names if name.startswith("echo"))
    routes, path = module._runtime.routes, module._runtime.path
    few = min(calls, 200)
    publish = change(contestant, echo.partition("/")[0])
    return {
        "bare uvicorn, 1 caller": Case(call=bare_call(bare_port), calls=calls),
        "served module, 1 caller": Case(
            call=checked(module, 7, 7), calls=calls, beside="bare uvicorn, 1 caller"
        ),
        "bare uvicorn, 16 callers": Case(call=bare_call(bare_port), calls=calls, callers=16),
        "served module, 16 callers": Case(
            call=checked(module, 7, 7), calls=calls, callers=16, beside="bare uvicorn, 16 callers"
        ),
        "tree of 7 by hand": Case(
            call=checked(by_hand.call(), 1, 7), calls=calls // 4, cpu_s=by_hand.cpu_s
        ),
        "served tree of 7": Case(
            call=checked(root, 1, 7),
            calls=calls // 4,
            beside="tree of 7 by hand",
            cpu_s=contestant.cpu_s,
        ),
        "GET": Case(call=lambda: client.get("key"), calls=calls),
        "look-up": Case(call=lambda: routes.endpoints(path), calls=calls, beside="GET"),
        "look-up by name": Case(call=lambda: gateway.endpoints(echo), calls=few, beside="GET"),
        "PING": Case(call=client.ping, calls=few),
        "PING after a change": Case(
            call=client.ping, calls=CHANGES, beside="PING", prepare=publish
        ),
        "change seen": Case(call=publish, calls=CHANGES, beside="PING"),
        "change seen, in turn": Case(
            call=publish, calls=CHANGES, beside="PING after a change", prepare=client.ping
        ),
    }


def loads(modules: Mapping[str, ServerModule], folder: Path, repeats: int, seconds: int) -> str:
    """Load replicas and Starlette's endpoints in turn; return the table."""
    script = folder / "post.lua"
    script.write_text(wrk.SCRIPT)
    with served.bare_servers(1, "starlette") as (port,):
        urls: dict[str, str] = {}
        for kind, module in modules.items():
            urls[f"Starlette, {kind}"] = f"http://127.0.0.1:{port}/{kind.split()[0]}"
            [endpoint] = module._runtime.routes.endpoints(module._runtime.path)
            urls[f"replica, {kind}"] = f"{endpoint.url}/call"
        found: dict[str, list[wrk.Load]] = {}
        for turn in range(-1, repeats):
            for name, url in urls.items():
                # The first turn only warms up.
                load = wrk.load(url, CONNECTIONS, 1 if turn < 0 else seconds, script)
                if turn >= 0:
                    found.setdefault(name, []).append(load)
    rows = []
    for kind in modules:
        beside, ours_ = found[f"Starlette, {kind}"], found[f"replica, {kind}"]
        ratios = [
            statistics.median(getattr(each, field) for each in ours_)
            / statistics.median(getattr(each, field) for each in beside)
            for field in ("p50", "p99", "rate", "cpu")
        ]
        rows.append((f"replica, {kind}", f"Starlette, {kind}", *(f"{r:.2f}" for r in ratios)))
    return table.text(("what, by wrk", "beside", "x p50", "x p99", "x calls/s", "x CPU"), rows)


def rows_of(found: dict[str, list[Found]], measured: dict[str, Case]) -> list[tuple[str, ...]]:
    """Return a line a case: medians, and as multiples of what it is compared with."""

    def median(case: str, field: str) -> float:
        return statistics.median(getattr(each, field) for each in found[case])

    rows = []
    for name, case in measured.items():
        absolute = f"{median(name, 'p50') * 1e6:.1f}", f"{median(name, 'rate'):.0f}"
        ratios = ("", "", "")
        if case.beside is not None:
            p50, rate = (median(name, f) / median(case.beside, f) for f in ("p50", "rate"))
            cpu = ""
            if case.cpu_s is not None:
                cpu = f"{median(name, 'cpu') / max(median(case.beside, 'cpu'), 1e-9):.2f}"
            ratios = (f"{p50:.3g}", f"{rate:.3g}", cpu)
        rows.append((name, case.beside or "", *absolute, *ratios))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plot", type=Path, help="save a picture (SVG)")
    parser.add_argument("--smoke", action="store_true", help="few calls: is it right?")
    options = parser.parse_args()
    end_cleanly()
    calls, repeats = (64, 1) if options.smoke else (options.calls, options.repeats)
    found: dict[str, list[Found]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as root,
        server.private(Path(root)) as url,
        ours.running(Place(url=url, folder=Path(root)), workers=1) as contestant,
        served.bare_servers(1) as (port,),
        handmade.tree() as by_hand,
        up() as modules,
    ):
        client = redis.Redis.from_url(url)
        measured = cases(contestant, client, modules, port, by_hand, calls)
        for _ in range(repeats):
            for name, case in measured.items():
                found.setdefault(name, []).append(measure(case))
        by_wrk = ""
        if shutil.which("wrk") is not None:
            kinds = {"async": ServerModule(served.AsyncEcho(), name="aecho"), "def": modules[0]}
            kinds["async"].update()
            by_wrk = loads(kinds, Path(root), repeats, 1 if options.smoke else 3)
            kinds["async"].stop()
    rows = rows_of(found, measured)
    head = ("what", "beside", "p50 us", "calls/s", "x p50", "x calls/s", "x CPU")
    print(table.text(head, rows))
    print(f"\n{by_wrk or 'wrk is not on PATH (apt-get install wrk): HTTP was not loaded'}")
    if options.plot:
        bars = [(row[0], float(row[4])) for row in rows if row[4]]
        table.plot(options.plot, "Calls, as multiples of what they stand beside", bars, "x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
