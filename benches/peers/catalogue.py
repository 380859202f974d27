"""The peers: what each installs, how its workers start, and the environment that it runs in.

Each has a virtual environment of its own in the cache, so that none constrains another or us; it
is made when it is first needed, from the requirements here, and made anew when those change.
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from contestants import Crew, Place, crew

HERE = Path(__file__).parent
_COMMON = ("redis>=5,<9", "hiredis>=3,<4")
_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer; `worker` is one worker process, `{bin}` stands for the programs installed."""

    program: str
    requirements: tuple[str, ...]
    worker: tuple[str, ...]
    workers: int = 2

    @contextlib.contextmanager
    def running(self, place: Place, *, cache: Path) -> Iterator[Driven]:
        """Run its workers and the program that submits for it."""
        folder = environment(cache, (*self.requirements, *_COMMON))
        command = [part.format(bin=folder / "bin", url=place.url) for part in self.worker]
        log = place.folder / "peer.log"
        with (
            crew([command] * self.workers, place.environ, log, patience=3) as members,
            log.open("ab") as errors,
            subprocess.Popen(
                [folder / "bin" / "python", HERE / f"{self.program}.py"],
                env=place.environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as driver,
        ):
            try:
                yield Driven(driver, members, log)
            finally:
                driver.kill()


class Driven:
    """A peer whose driver is told what to run."""

    def __init__(self, driver: subprocess.Popen[str], members: Crew, log: Path) -> None:
        self._driver, self._members, self._log = driver, members, log

    def run(self, shape: str) -> float:
        """Have a shape run to its end; raises RuntimeError when the driver ended."""
        import threading

        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        watchdog = threading.Timer(_SECONDS, self._driver.kill)
        watchdog.daemon = True
        watchdog.start()
        self._driver.stdin.write(f"{shape}\n")
        self._driver.stdin.flush()
        answer = self._driver.stdout.readline()
        watchdog.cancel()
        if not answer:
            raise RuntimeError(f"no end in {_SECONDS} s: {self._log.read_text()[-500:]}")
        return float(answer)

    def clear(self) -> None:
        """Nothing: its driver has removed what the run left."""

    def cpu_s(self) -> float:
        """Return what its workers have used."""
        return self._members.cpu_s()


def environment(cache: Path, requirements: tuple[str, ...]) -> Path:
    """Return the folder of the environment with these requirements."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}{requirements}".encode()).hexdigest()[:12]
    folder = cache / digest
    if not (folder / "made").exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *requirements], check=True)
        (folder / "made").write_text("\n".join(requirements))
    return folder


_RQ = Peer(
    program="with_rq",
    requirements=("rq==2.12.0",),
    worker=(
        *("{bin}/rq", "worker", "--url", "{url}", "--worker-class", "rq.SimpleWorker"),
        *("--quiet", "bench"),
    ),
    workers=8,
)

PEERS = {
    "taskiq": Peer(
        program="with_taskiq",
        requirements=("taskiq==0.11.*", "taskiq-redis==1.*"),
        worker=(
            *("{bin}/taskiq", "worker", "with_taskiq:broker", "--workers", "1"),
            *("--max-async-tasks", "4", "--max-threadpool-threads", "4", "--log-level", "ERROR"),
        ),
    ),
    "dramatiq": Peer(
        program="with_dramatiq",
        requirements=("dramatiq[redis]==1.*",),
        worker=("{bin}/dramatiq", "with_dramatiq", "--processes", "1", "--threads", "4"),
    ),
    "celery": Peer(
        program="with_celery",
        requirements=("celery[redis]==5.*",),
        worker=(
            *("{bin}/celery", "-A", "with_celery", "worker", "--concurrency", "4"),
            *("-l", "ERROR", "--without-gossip", "--without-mingle", "-n", "%n-{bin}@%h"),
        ),
    ),
    "rq-2.12-simple": _RQ,
    "rq-2.12-fork": replace(
        _RQ,
        worker=("{bin}/rq", "worker", "--url", "{url}", "--quiet", "bench"),
    ),
}
