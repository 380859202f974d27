"""Measures calls of a served module from Python, and look-ups in the registry.

    python benches/call.py [--calls N] [--repeats N] [--plot FILE] [--smoke]

The bare side is a uvicorn echo that is called by `http.client` over one kept connection a thread,
without a codec, a signature or the choice of a replica. Look-ups are compared with a GET of Redis.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import ours
import redis
import served
import server
import table
from contestants import Place, end_cleanly

from modules import ServerModule


def rate(call: Callable[[], object], calls: int, callers: int) -> tuple[float, float]:
    """Return the median latency in seconds and the calls a second of all callers together."""
    spans: list[float] = []

    def work() -> None:
        for _ in range(calls // callers):
            start = time.perf_counter()
            call()
            spans.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work) for _ in range(callers)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statistics.median(spans), len(spans) / (time.perf_counter() - start)


def bare_call(port: int) -> Callable[[], object]:
    """Return a call of the bare echo, over one kept connection a thread."""
    kept = threading.local()

    def call() -> object:
        if not hasattr(kept, "connection"):
            kept.connection = http.client.HTTPConnection("127.0.0.1", port)
        kept.connection.request("POST", "/", b'{"args":[7]}')
        body = kept.connection.getresponse().read()
        assert body == b'{"args":[7]}'
        return body

    return call


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plot", type=Path, help="save a picture (SVG)")
    parser.add_argument("--smoke", action="store_true", help="few calls: is it right?")
    options = parser.parse_args()
    end_cleanly()
    calls, repeats = (64, 1) if options.smoke else (options.calls, options.repeats)
    found: dict[str, list[tuple[float, float]]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as root,
        server.private(Path(root)) as url,
        ours.running(Place(url=url, folder=Path(root)), workers=1) as contestant,
        served.bare_servers(1) as (port,),
    ):
        module = ServerModule(served.Echo(), name="echo")
        module.update()
        assert module(7) == 7
        client, gateway = redis.Redis.from_url(url), contestant.client.gateway
        name = gateway.services()[0].service
        cases: dict[str, tuple[Callable[[], object], int, int]] = {
            "bare uvicorn, 1 caller": (bare_call(port), calls, 1),
            "served module, 1 caller": (lambda: module(7), calls, 1),
            "bare uvicorn, 16 callers": (bare_call(port), calls, 16),
            "served module, 16 callers": (lambda: module(7), calls, 16),
            "GET": (lambda: client.get("key"), calls, 1),
            "look-up": (lambda: module._runtime.routes.endpoints(module._runtime.path), calls, 1),
            "look-up by name": (lambda: gateway.endpoints(name), min(calls, 200), 1),
        }
        for _ in range(repeats):
            for case, (call, count, callers) in cases.items():
                found.setdefault(case, []).append(rate(call, count, callers))
        module.stop()
    rows = [
        (
            case,
            f"{statistics.median(span for span, _ in results) * 1e6:.1f}",
            f"{statistics.median(speed for _, speed in results):.0f}",
        )
        for case, results in found.items()
    ]
    print(table.text(("what", "p50 us", "calls/s"), rows))
    if options.plot:
        bars = [(row[0], float(row[1])) for row in rows]
        table.plot(options.plot, "Latency of a call", bars, "us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
