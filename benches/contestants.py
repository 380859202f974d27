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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

HERE = Path(__file__).parent


class Contestant(Protocol):
    """One engine with its workers running."""

    def run(self, shape: str) -> float:
        """Submit a shape and wait for its end; return the seconds that the submit took."""

    def cpu_s(self) -> float:
        """Return the CPU seconds that its workers have used so far."""


@dataclass(slots=True, kw_only=True)
class Place:
    """Where a contestant runs: server, folder of the traces, and the environment of its workers."""

    url: str
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path = os.pathsep.join([str(HERE), str(HERE / "peers")])
        self.environ = {
            **os.environ,
            "BENCH_TRACES": str(self.folder),
            "BENCH_URL": self.url,
            "PYTHONPATH": path,
            **self.environ,
        }


class Crew:
    """Worker processes of one contestant."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        self._processes = [psutil.Process(process.pid) for process in processes]

    def cpu_s(self) -> float:
        """Return the CPU seconds of all of them, with their children, living and dead."""
        total = 0.0
        for process in self._processes:
            with contextlib.suppress(psutil.Error):
                for each in [process, *process.children(recursive=True)]:
                    with contextlib.suppress(psutil.Error):
                        times = each.cpu_times()
                        total += times.user + times.system
                        total += times.children_user + times.children_system
        return total


@contextlib.contextmanager
def crew(
    commands: Sequence[Sequence[str]], environ: Mapping[str, str], log: Path, *, patience: float = 8
) -> Iterator[Crew]:
    """Run worker processes; what they say goes to `log`."""
    with log.open("ab") as output:
        processes = [
            subprocess.Popen(
                command, env=dict(environ), stdout=output, stderr=output, start_new_session=True
            )
            for command in commands
        ]
        try:
            yield Crew(processes)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(patience)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def end_cleanly() -> None:
    """Let a request to end be an interrupt, so that no worker is left behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def python(*arguments: str) -> list[str]:
    """Return the command line of this interpreter."""
    return [sys.executable, *arguments]
