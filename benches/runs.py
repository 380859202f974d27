"""The runs of a benchmark of engines, and the file that keeps them while it goes on.

A group is one shape, run once by each contestant of a section in the same minute; what a contestant
took is compared with what the raw loop took in the same group. The file is written after every run.
A later call goes on where it ends: a group that isn't whole is run anew. A file of other code or
another machine is refused, as its runs can't be compared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import server

PROJECT = Path(__file__).parents[1]
RUNNING = ("apart", "contestants", "engine", "nodes", "ours", "raw", "server", "shapes", "traces")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Where a run belongs."""

    section: str
    shape: str
    repeat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run; figures of CPU, commands and reads of sockets are those of the whole run.

    A run that was ended at its limit has that as its makespan and nothing else; one that failed
    says why and has nothing.
    """

    group: Group
    contestant: str
    makespan_s: float = 0.0
    submit_s: float = 0.0
    worker_cpu_s: float = 0.0
    server_cpu_s: float = 0.0
    commands: int = 0
    reads: int = 0
    is_over: bool = False
    failed: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it came to its end."""
        return not self.is_over and not self.failed


class WrongFile(Exception):
    """A file of results can't be gone on with."""


class Results:
    """All runs, in memory and in a file, if there is one."""

    def __init__(self, measured: dict[str, Any], path: Path | None) -> None:
        self.measured, self._path = measured, path
        self.runs: list[Run] = []
        if path is not None and path.exists():
            found = Results.read(path)
            if other := [each for each in measured if found.measured.get(each) != measured[each]]:
                raise WrongFile(
                    f"{path} holds runs that differ in {', '.join(other)}: move it away"
                )
            self.runs = found.runs

    @classmethod
    def read(cls, path: Path) -> Results:
        """Return what a file holds."""
        told = json.loads(path.read_text())
        results = cls(told["measured"], None)
        results.runs = [Run(**{**run, "group": Group(**run["group"])}) for run in told["runs"]]
        return results

    def add(self, run: Run) -> None:
        """Keep one more run."""
        self.runs.append(run)
        self._write()

    def begin(self, group: Group, contestants: Iterable[str]) -> bool:
        """Forget a group that isn't whole; return whether it is to be run."""
        found = [run for run in self.runs if run.group == group]
        if {run.contestant for run in found} == set(contestants):
            return False
        self.runs = [run for run in self.runs if run.group != group]
        return True

    def of(self, contestant: str, shape: str) -> list[Run]:
        """Return the runs of one contestant on one shape."""
        return [r for r in self.runs if (r.contestant, r.group.shape) == (contestant, shape)]

    def pairs(self, contestant: str, shape: str) -> Iterator[tuple[Run, Run]]:
        """Yield each run with that of the raw loop in the same group."""
        raw = {run.group: run for run in self.of("raw", shape)}
        for run in self.of(contestant, shape):
            if run.group in raw:
                yield run, raw[run.group]

    def _write(self) -> None:
        if self._path is None:
            return
        told = {"measured": self.measured, "runs": [dataclasses.asdict(run) for run in self.runs]}
        beside = self._path.with_name(f"{self._path.name}.new")
        beside.write_text(json.dumps(told, indent=1))
        beside.replace(self._path)


def measured(limit_s: float, peers: dict[str, list[str]]) -> dict[str, Any]:
    """Return what was measured with what."""
    with tempfile.TemporaryDirectory() as folder, server.private(Path(folder)) as url:
        said = server.version(url)
    return {
        "python": platform.python_version(),
        "server": said,
        "packages": {name: version(name) for name in ("redis", "hiredis", "rq")},
        "peers": peers,
        "cores": os.cpu_count(),
        "limit_s": limit_s,
        "code": _digest(),
    }


def _digest() -> str:
    """Return what names the code: of rootward, and of what runs the shapes."""
    found = hashlib.sha256()
    folders = ("modules", "orchestrator", "worker", "benches/peers")
    paths = [path for folder in folders for path in (PROJECT / folder).rglob("*")]
    paths += [PROJECT / "benches" / f"{name}.py" for name in RUNNING]
    for path in sorted(paths):
        if path.suffix in {".py", ".lua"}:
            found.update(path.read_bytes())
    return found.hexdigest()[:12]
