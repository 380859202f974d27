"""What the tests don't protect: `python -m tests.mutation [--seed N] [--count M] [FILE ...]`.

Changes the core at random, one small change at a time, in a copy of the project in a temporary
folder, and runs the tests that concern the changed file. A mutant that all of them pass has
survived: a behaviour that no test states, or a change without an effect. By hand, minutes long.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.chaos.planted import ROOT, copy_project, python_of
from tests.mutation.mutants import Mutant, mutants

LIMIT_S: Final = 120.0
"""How long the tests of one mutant may take; one that makes them hang is noticed."""
_STORE: Final = (
    "tests/conformance/test_emptied.py",
    "tests/conformance/test_tasks.py",
    "tests/conformance/test_generations.py",
    "tests/conformance/test_stops.py",
    "tests/conformance/test_losses.py",
    "tests/conformance/test_replicas.py",
    "tests/conformance/test_leases.py",
)
_PLANNING: Final = ("tests/orchestrator/planning",)
_CLIENT: Final = ("tests/orchestrator/client/test_client.py",)
SUBJECTS: Final[dict[str, tuple[str, ...]]] = {
    "modules/processes/restart_policy.py": ("tests/modules/processes/test_restart_policy.py",),
    "modules/state/values.py": ("tests/modules/state", "tests/modules/rpc/test_envelope.py"),
    "orchestrator/control/preemption.py": ("tests/orchestrator/control/test_preemption.py",),
    "orchestrator/control/reconcile.py": ("tests/orchestrator/control/test_reconcile.py",),
    "orchestrator/planning/collect.py": _PLANNING,
    "orchestrator/planning/graph.py": (
        *_PLANNING,
        "tests/orchestrator/control",
        *_CLIENT,
    ),
    "orchestrator/planning/plan_codec.py": _PLANNING,
    "orchestrator/planning/planner.py": _PLANNING,
    "orchestrator/planning/reduction.py": _PLANNING,
    "orchestrator/security/signing.py": (
        "tests/orchestrator/security",
        "tests/worker/work/test_assignment.py",
        "tests/worker/work/test_generations.py",
        "tests/orchestrator/control/test_counts.py",
        "tests/modules/rpc/test_proof.py",
    ),
    "orchestrator/store/lua/generations.lua": (*_STORE, *_CLIENT),
    "orchestrator/store/tasks.py": (
        *_STORE,
        "tests/worker/work/test_generations.py",
        *_CLIENT,
    ),
    "worker/agent/exchange_loop.py": (
        "tests/worker/agent/test_exchange_loop.py",
        "tests/worker/agent/test_agent.py",
    ),
    "worker/agent/heartbeat.py": (
        "tests/worker/agent/test_heartbeat.py",
        "tests/worker/agent/test_agent.py",
    ),
    "worker/slots/pool.py": ("tests/worker/slots", "tests/worker/work"),
}
"""The core, and the tests whose business each file is."""

Drawn = list[tuple[str, Mutant]]


def draw(files: list[str], *, seed: int, count: int) -> Drawn:
    """Return `count` mutants of the files, or all if there are fewer, in the order to run them.

    The same seed draws the same ones of the same sources. The order is random too, so that a run
    which is broken off has still seen a fair sample.
    """
    every = [
        (file, mutant)
        for file in sorted(files)
        for mutant in mutants((ROOT / file).read_text(), lua=file.endswith(".lua"))
    ]
    return random.Random(seed).sample(every, min(count, len(every)))


class Copy:
    """A copy of the project with an environment of its own, one file of which is changed."""

    def __init__(self, folder: Path) -> None:
        """Copy the project into the folder."""
        self.folder = folder
        copy_project(folder)
        shutil.copy(ROOT / "pyproject.toml", folder)
        for package in ("modules", "orchestrator", "worker", "tests"):
            compileall.compile_dir(folder / package, quiet=2)
        self._python = python_of(folder)

    def passes(self, file: str, text: str) -> bool:
        """Whether the tests of the file pass with this text in its place, in the time they have."""
        path = self.folder / file
        before = path.read_text()
        # Compiled files are told apart by size and second, which a mutant may have in common.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
        path.write_text(text)
        try:
            return self._run(SUBJECTS[file]) == 0
        finally:
            path.write_text(before)

    def _run(self, tests: tuple[str, ...]) -> int:
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environ["PYTHONDONTWRITEBYTECODE"] = "1"
        # Of the servers of the conformance tests one is enough here.
        options = ("-x", "-q", "-m", "not slow", "-k", "not [fake and not [other")
        plugins = ("-p", "no:cacheprovider", "-p", "no:randomly", "-o", "timeout=30")
        process = subprocess.Popen(
            [self._python, "-m", "pytest", *options, *plugins, *tests], cwd=self.folder,
            env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            return process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            return 1
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def run(drawn: Drawn, counts: Counter[str]) -> None:
    """Run the tests against each mutant; print each and count how many were killed or survived.

    Raises SystemExit when the tests of a file fail without any change.
    """
    proven = set()
    with tempfile.TemporaryDirectory(prefix="rw-m-") as name:
        project = Copy(Path(name))
        for file, mutant in drawn:
            if file not in proven and not project.passes(file, (project.folder / file).read_text()):
                sys.exit(f"the tests of {file} fail without a change: {' '.join(SUBJECTS[file])}")
            proven.add(file)
            begun = time.monotonic()
            verdict = "survived" if project.passes(file, mutant.text) else "killed"
            counts[verdict] += 1
            took = time.monotonic() - begun
            print(f"{verdict:8} {file}:{mutant.line} {mutant} ({took:.1f} s)", flush=True)


def main(arguments: list[str]) -> int:
    """Draw, run and print the score, of what was run if Ctrl-C ends it."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=50, help="how many mutants (50)")
    parser.add_argument("files", nargs="*", metavar="FILE", help=", ".join(SUBJECTS))
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.files) - set(SUBJECTS):
        parser.error(f"no tests are known for {', '.join(sorted(unknown))}")
    drawn = draw(chosen.files or list(SUBJECTS), seed=chosen.seed, count=chosen.count)
    counts: Counter[str] = Counter()
    with contextlib.suppress(KeyboardInterrupt):
        run(drawn, counts)
    total = counts.total()
    print(f"{counts['killed']} of {total} killed ({counts['killed'] / max(total, 1):.0%})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
