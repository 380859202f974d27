"""What the engine benchmark asks of each contestant, and how its workers are kept and measured.

A contestant starts its workers once and then runs one shape after another. What it runs must leave
the trace; whether that is right, and how long it took, is the benchmark's to say.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil
from server import Usage

HERE = Path(__file__).parent


class TooLong(Exception):
    """A run wasn't over when its time was."""


class Contestant(Protocol):
    """One engine with its workers running."""

    def run(self, shape: str) -> float:
        """Submit a shape and wait for its end; return the seconds that the submit took.

        Raises TooLong after the place's limit; the contestant is of no use any more then.
        """

    def clear(self) -> None:
        """Remove what a run has left, where it isn't part of the run."""

    def cpu_s(self) -> float:
        """Return the CPU seconds that its workers have used so far."""

    def served(self) -> Usage:
        """Return what its server, Redis or a scheduler of its own, has used so far."""


@dataclass(slots=True, kw_only=True)
class Place:
    """Where a contestant runs: server, folder of the traces, and the environment of its workers."""

    url: str
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    limit_s: float = 300.0

    def __post_init__(self) -> None:
        path = os.pathsep.join([str(HERE.parent), str(HERE), str(HERE / "peers")])
        self.environ = {
            **os.environ,
            "BENCH_TRACES": str(self.folder),
            "BENCH_URL": self.url,
            "PYTHONPATH": path,
            **self.environ,
        }
        # Compiled code is kept, as where it is installed: whoever imports often would pay for it.
        self.environ.pop("PYTHONDONTWRITEBYTECODE", None)


class Crew:
    """Worker processes of one contestant."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        self._processes = [psutil.Process(process.pid) for process in processes]

    def cpu_s(self) -> float:
        """Return the CPU seconds of all of them, with their children, living and dead."""
        total = 0.0
        for each in self.family():
            with contextlib.suppress(psutil.Error):
                times = each.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def family(self) -> list[psutil.Process]:
        """Return the processes and all below them."""
        found = []
        for process in self._processes:
            with contextlib.suppress(psutil.Error):
                found += [process, *process.children(recursive=True)]
        return found

    def own_cpu_s(self) -> float:
        """Return the CPU seconds of the processes themselves."""
        times = [process.cpu_times() for process in self._processes]
        return sum(each.user + each.system for each in times)


@contextlib.contextmanager
def crew(
    commands: Sequence[Sequence[str]], environ: Mapping[str, str], log: Path, *, patience: float = 8
) -> Iterator[Crew]:
    """Run worker processes; what they say goes to `log`. None of them, nor a child, is left."""
    with log.open("ab") as output:
        processes = [
            subprocess.Popen(
                command, env=dict(environ), stdout=output, stderr=output, start_new_session=True
            )
            for command in commands
        ]
        members = Crew(processes)
        try:
            yield members
        finally:
            family = members.family()
            for process in processes:
                process.terminate()
            deadline = time.monotonic() + patience
            for process in processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
            for each in family:
                with contextlib.suppress(psutil.Error):
                    each.kill()
            for process in processes:
                process.wait()


def end_cleanly() -> None:
    """Let a request to end be an interrupt, so that no worker is left behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def python(*arguments: str) -> list[str]:
    """Return the command line of this interpreter."""
    return [sys.executable, *arguments]
