"""Proof that the figures and the driver can say no: `python -m tests.chaos.planted [NAME ...]`.

For each row of the table in docs/reliability.md one guard of the product is taken out, in a copy
in a folder of its own, and the same command runs there in short. It must miss its goal. The product
itself has no switch for any of this.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("rootward", "modules", "orchestrator", "worker", "tests")
FIGURES: Final = "tests.chaos.figures"
DRIVER: Final = "tests.chaos.driver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """In `file` the text `old`, which stands there once, becomes `new`; `command` has to notice."""

    file: str
    old: str
    new: str
    command: tuple[str, ...]


PLANTS: Final = {
    "a dead replica isn't withdrawn": Plant(
        file="worker/replicas/supervisor.py",
        old="            await self._registrar.put(held, ReplicaState.UNREADY, reason)\n"
        "            self.on_news()\n",
        new="            self.on_news()\n",
        command=(FIGURES, "dead_replica", "5"),
    ),
    "a dead worker is swept late": Plant(
        file="orchestrator/store/lua/sweep.lua",
        old="KEYS[2], '-inf', NOW_MS, 'LIMIT'",
        new="KEYS[2], '-inf', string.format('%.0f', NOW - 5000), 'LIMIT'",
        command=(FIGURES, "dead_worker", "1"),
    ),
    "a process below lives on": Plant(
        file="worker/child/forkserver_main.py",
        old="                process_tree.kill_all(self._children)\n",
        new="",
        command=(FIGURES, "processes_left", "4"),
    ),
    "no time is given back": Plant(
        file="orchestrator/store/lua/extend_leases.lua",
        old="if gap > patience or gap < 0 then",
        new="if false then",
        command=(FIGURES, "redis_restart", "20"),
    ),
    "Redis keeps nothing": Plant(
        file="orchestrator/embedded/server.py",
        old='"appendonly": "yes"',
        new='"appendonly": "no"',
        command=(FIGURES, "lost_submits", "2"),
    ),
    "every owner is known": Plant(
        file="orchestrator/store/lua/records.lua",
        old="return id ~= '' and call('ZSCORE', P .. ':agents', id) and true end",
        new="return true end",
        command=(FIGURES, "stale_writes", "12"),
    ),
    "a frozen replica has no lease": Plant(
        file="worker/child/parent_watch.py",
        old='            self._ends_at = time.monotonic() + message["ttl"]\n',
        new="            pass\n",
        command=(FIGURES, "stale_answers", "60"),
    ),
    "an exclusive replica has no lease": Plant(
        file="worker/child/parent_watch.py",
        old='            self._ends_at = time.monotonic() + message["ttl"]\n',
        new="            pass\n",
        command=(FIGURES, "partitioned_answers", "150"),
    ),
    "an exclusive replica may go on as long as others": Plant(
        file="worker/agent/heartbeat.py",
        old="        if not exclusive:\n",
        new="        if exclusive or not exclusive:\n",
        command=(FIGURES, "partitioned_answers", "150"),
    ),
    "what came and went stays": Plant(
        file="orchestrator/store/lua/generations.lua",
        old="  if ended and bare then end_generation(g) end\n",
        new="",
        command=(FIGURES, "keys_and_memory", "20"),
    ),
    "a drain breaks calls off": Plant(
        file="worker/replicas/supervisor.py",
        old="                held.drain()\n                await self._drained(held)\n",
        new="                held.kill()\n",
        command=(FIGURES, "calls_under_load", "6"),
    ),
    "a parent starts with its first child": Plant(
        file="orchestrator/store/lua/tasks.lua",
        old="'rw_wait', -counts[index]) == 0 then",
        new="'rw_wait', -counts[index]) >= 0 then",
        command=(DRIVER, "--faults", "10", "--only", "kill a submitter"),
    ),
    "a record names no process": Plant(
        file="worker/replicas/registrar.py",
        old="pid=held.pid or 0",
        new="pid=0",
        command=(DRIVER, "--faults", "1", "--only", "forget the scripts"),
    ),
    "a poison is tried for ever": Plant(
        file="orchestrator/store/lua/failures.lua",
        old="job.losses >= 3",
        new="job.losses >= 10000",
        command=(DRIVER, "--faults", "1", "--only", "submit a poison"),
    ),
}
OF_THE_STORE: Final = ("Redis keeps nothing", "every owner is known", "what came and went stays")
"""Those that take a few seconds, as no worker has to start."""


def is_caught(plant: Plant, *, timeout: float = 600.0) -> bool:
    """Run the plant's command in a copy that has the fault; prints what it says."""
    with tempfile.TemporaryDirectory(prefix="rw-p-") as name:
        folder = Path(name)
        copy_project(folder)
        file = folder / plant.file
        text = file.read_text()
        assert text.count(plant.old) == 1, f"{plant.file} has changed: plant it anew"
        file.write_text(text.replace(plant.old, plant.new))
        python = python_of(folder)
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            [python, "-m", *plant.command], cwd=folder, env=environ, timeout=timeout, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    shown = [line for line in done.stdout.splitlines() if "registry isn't" not in line]
    print("\n".join(f"  {line[:300]}" for line in shown[-4:]), flush=True)
    is_judged = "MISSED)" in done.stdout or "\n--\n" in done.stdout
    return done.returncode == 1 and is_judged


def copy_project(folder: Path) -> None:
    """Copy the packages and their tests into the folder; links stay links."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, symlinks=True, ignore=ignored)


def python_of(folder: Path) -> Path:
    """Make an environment whose packages are those of this one, but the project is the copy."""
    home = folder / "venv"
    venv.create(home, symlinks=True, with_pip=False)
    [site] = home.glob("lib/python*/site-packages")
    paths = [folder, *(path for path in sys.path if path.endswith("-packages"))]
    (site / "copy.pth").write_text("".join(f"{path}\n" for path in paths))
    script = home / "bin" / "rootward"
    code = "import sys; from rootward.orchestrator.cli import main; sys.exit(main())"
    script.write_text(f"#!{home}/bin/python\n{code}\n")
    script.chmod(0o755)
    return home / "bin" / "python"


def main(names: list[str]) -> int:
    """Plant the faults of these names, or all; return how many nobody noticed."""
    missed = 0
    for name in names or PLANTS:
        print(f"{name}:", flush=True)
        caught = is_caught(PLANTS[name])
        missed += not caught
        print("caught" if caught else "NOT CAUGHT", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
