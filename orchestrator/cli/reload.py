"""What `up --reload` does: watch the files of the project, and deploy again when one changes.

Each deploy is a process of its own, so that the changed code is imported anew and nothing of it
stays in `up`. Files are looked at twice a second; a change is taken once it has been quiet for as
long, as editors write several files, or one in several steps.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from .output import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PERIOD_S = 0.5
MOST_FILES = 5000
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
_SUFFIXES = frozenset({".py", ".json", ".toml", ".yaml", ".yml"})

Marks = dict[str, tuple[int, int]]


class Reloader:
    """Deploys TARGET again, as `name`, whenever a file below `folder` has changed."""

    def __init__(self, folder: Path, deploy: Callable[[], int]) -> None:
        self._folder, self._deploy = folder, deploy
        self._ending = Event()
        self._marks = marks(folder)
        self.deployed = Event()
        """Set when a change has been deployed with success."""
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        tell(f"watching {self._folder}: a change is deployed at once")
        self._thread.start()

    def close(self) -> None:
        """Watch no longer."""
        self._ending.set()

    def _run(self) -> None:
        pending: set[str] = set()
        while not self._ending.wait(PERIOD_S):
            found = marks(self._folder)
            changed = changes(self._marks, found)
            self._marks = found
            if changed:
                pending |= changed
            elif pending:
                self._take(pending)
                pending = set()

    def _take(self, changed: set[str]) -> None:
        names = sorted(os.path.relpath(path, self._folder) for path in changed)
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        tell(f"changed: {', '.join(names[:3])}{more}")
        if self._deploy():
            tell("that change isn't deployed; what ran before goes on")
        else:
            self.deployed.set()


def marks(folder: Path) -> Marks:
    """Return time and size of each source file below `folder`, of the first MOST_FILES."""
    found: Marks = {}
    for path in _files(folder):
        try:
            status = path.stat()
        except OSError:
            # It went away in between: that is seen as a change next time.
            continue
        found[str(path)] = (status.st_mtime_ns, status.st_size)
        if len(found) >= MOST_FILES:
            break
    return found


def changes(before: Marks, after: Marks) -> set[str]:
    """Return the files that were written, added or removed."""
    return {path for path in {*before, *after} if before.get(path) != after.get(path)}


def deploy_command(target: str, name: str, order: Mapping[str, Any]) -> list[str]:
    """Return the command line that deploys TARGET with the options that `up` was given."""
    command = [sys.executable, "-P", "-m", "rootward", "deploy", target, "--name", name]
    for option, value in order.items():
        flag = "--" + option.replace("_", "-")
        if option == "kinds":
            command += ["--kinds", ",".join(value)]
        elif option == "recursive":
            command += [] if value else ["--no-recursive"]
        elif option == "by_value" and value is not None:
            command.append("--by-value" if value else "--by-reference")
        elif option == "bundle":
            command += [] if value else ["--no-bundle"]
        elif isinstance(value, (list, tuple)):
            command += [word for each in value for word in (flag, str(each))]
        elif value is True:
            command.append(flag)
        elif option != "name" and value not in (None, False):
            command += [flag, str(value)]
    if order.get("recursive", True) and "deploy" in order.get("kinds", ("deploy",)):
        command.append("--changed")
    return command


def deploy_again(
    target: str, name: str, order: Mapping[str, Any], environment: Mapping[str, str]
) -> int:
    """Deploy TARGET in a process of its own; return its exit code."""
    done = subprocess.run(
        deploy_command(target, name, order),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        check=False,
    )
    return done.returncode


def project_folder(target: str) -> Path:
    """Return the folder of a file TARGET, or the one that holds the package of another."""
    where = target.rpartition(":")[0] or target
    if where.endswith(".py") or "/" in where:
        return Path(where).absolute().parent
    top = sys.modules.get(where.partition(".")[0])
    file = getattr(top, "__file__", None)
    return Path(file).absolute().parent if file else Path.cwd()


def _files(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and not Path(base, name, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if Path(name).suffix in _SUFFIXES and not name.startswith("."):
                yield Path(base, name)
