"""The peers: how their workers start, and the environment that each runs in.

What a peer installs is a dependency group `bench-NAME` of pyproject.toml. Each has a virtual
environment of its own in the cache, so that none constrains another or us; it is made when it is
first needed, and made anew when its group changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
import threading
import tomllib
import venv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import redis
import server
from contestants import Crew, Place, TooLong, crew

HERE = Path(__file__).parent
PROJECT = HERE.parents[1] / "pyproject.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer; `worker` is one worker process, `{bin}` the folder of the programs installed.

    A peer with a `scheduler` doesn't use Redis.
    """

    name: str
    worker: tuple[str, ...]
    workers: int = 2
    scheduler: tuple[str, ...] = ()

    @property
    def requirements(self) -> list[str]:
        """What is installed for it."""
        return requirements(self.name)

    @contextlib.contextmanager
    def running(self, place: Place, *, cache: Path) -> Iterator[Driven]:
        """Run its workers and the program that submits for it."""
        programs = environment(cache, self.requirements) / "bin"
        log = place.folder / "peer.log"
        place.environ["BENCH_SCHEDULER"] = str(place.folder / "scheduler.json")

        known = {"bin": programs, "url": place.url, "folder": place.folder}

        def commands(parts: tuple[str, ...], count: int) -> list[list[str]]:
            return [[p.format(number=n, **known) for p in parts] for n in range(count)]

        with (
            crew(commands(self.scheduler, int(bool(self.scheduler))), place.environ, log) as own,
            crew(commands(self.worker, self.workers), place.environ, log, patience=3) as members,
            log.open("ab") as errors,
            subprocess.Popen(
                [programs / "python", HERE / f"with_{self.name}.py"],
                env=place.environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as driver,
        ):
            try:
                yield Driven(driver, members, own if self.scheduler else None, place)
            finally:
                driver.kill()


class Driven:
    """A peer whose driver is told what to run."""

    def __init__(
        self, driver: subprocess.Popen[str], members: Crew, scheduler: Crew | None, place: Place
    ) -> None:
        self._driver, self._members, self._scheduler = driver, members, scheduler
        self._place = place
        self._client = redis.Redis.from_url(place.url)

    def run(self, shape: str) -> float:
        """Have a shape run to its end."""
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        over = threading.Event()

        def end() -> None:
            over.set()
            self._driver.kill()

        watchdog = threading.Timer(self._place.limit_s, end)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._driver.stdin.write(f"{shape}\n")
            self._driver.stdin.flush()
            answer = self._driver.stdout.readline()
        finally:
            watchdog.cancel()
        if answer:
            return float(answer)
        if over.is_set():
            raise TooLong(f"{shape} took longer than {self._place.limit_s:g} s")
        raise RuntimeError(f"its driver ended: {(self._place.folder / 'peer.log').read_text()}")

    def clear(self) -> None:
        """Nothing: its driver has removed what the run left."""

    def cpu_s(self) -> float:
        """Return what its workers have used."""
        return self._members.cpu_s()

    def served(self) -> server.Usage:
        """Return what Redis, or its scheduler in place of it, has used."""
        if self._scheduler is None:
            return server.usage(self._client)
        return server.Usage(cpu_s=self._scheduler.cpu_s(), commands=0, reads=0, memory=0)


def requirements(name: str) -> list[str]:
    """Return what the dependency group `bench-NAME` has."""
    groups = tomllib.loads(PROJECT.read_text())["dependency-groups"]
    return list(groups[f"bench-{name}"])


def environment(cache: Path, requirements: list[str]) -> Path:
    """Return the folder of the environment with these requirements."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}{requirements}".encode()).hexdigest()[:12]
    folder = cache / digest
    if not (folder / "made").exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "-qq"]
        subprocess.run([*pip, *requirements], check=True)
        (folder / "made").write_text("\n".join(requirements))
    return folder


_RQ = Peer(
    name="rq",
    worker=(
        *("{bin}/rq", "worker", "--url", "{url}", "--worker-class", "rq.SimpleWorker"),
        *("--quiet", "bench"),
    ),
    workers=8,
)

PEERS = {
    "dask": Peer(
        name="dask",
        scheduler=(
            *("{bin}/dask", "scheduler", "--scheduler-file", "{folder}/scheduler.json"),
            *("--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
        ),
        worker=(
            *("{bin}/dask", "worker", "--scheduler-file", "{folder}/scheduler.json"),
            *("--nworkers", "1", "--nthreads", "4", "--no-nanny", "--no-dashboard"),
            *("--host", "127.0.0.1", "--local-directory", "{folder}"),
        ),
    ),
    "taskiq": Peer(
        name="taskiq",
        worker=(
            *("{bin}/taskiq", "worker", "with_taskiq:broker", "--workers", "1"),
            *("--max-async-tasks", "4", "--max-threadpool-threads", "4", "--log-level", "ERROR"),
        ),
    ),
    "dramatiq": Peer(
        name="dramatiq",
        worker=("{bin}/dramatiq", "with_dramatiq", "--processes", "1", "--threads", "4"),
    ),
    "celery": Peer(
        name="celery",
        worker=(
            *("{bin}/celery", "-A", "with_celery", "worker", "--concurrency", "4"),
            *("-l", "ERROR", "--without-gossip", "--without-mingle", "-n", "bench-{number}@%h"),
        ),
    ),
    "rq-2.12-simple": _RQ,
    "rq-2.12-fork": replace(
        _RQ,
        worker=("{bin}/rq", "worker", "--url", "{url}", "--quiet", "bench"),
    ),
}
