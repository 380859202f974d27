"""Projects of a user, deployed to workers that can't see them.

A project is written into a folder of its own and submitted from there; then the folder is moved
away, and only then a worker starts, in another folder and with a cache of its own. So what a task
finds came with the submission.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from textwrap import dedent
from typing import TYPE_CHECKING

from tests.support.programs import Program, rootward, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Network

SUBMIT_TIMEOUT_S = 60.0


@dataclass(slots=True, kw_only=True)
class UserProject:
    """A folder with a user's files, on a machine of its own; `more` is added to its environment."""

    network: Network
    folder: Path
    more: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, network: Network, files: dict[str, str], name: str = "project") -> UserProject:
        """Write files into a new folder, which programs start from."""
        project = cls(network=network, folder=network.folder / name)
        for path, text in files.items():
            project.write(path, text)
        return project

    def write(self, path: str, text: str) -> None:
        """Write one file."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(dedent(text))

    def rootward(self, *arguments: str, cwd: str = ".") -> Program:
        """Run `rootward` to its end, in a folder of the project."""
        return self._run(rootward(*arguments), cwd)

    def python(self, *arguments: str, cwd: str = ".") -> Program:
        """Run Python to its end, in a folder of the project."""
        return self._run([sys.executable, *arguments], cwd)

    def submit(self, target: str, *options: str, name: str = "app", cwd: str = ".") -> None:
        """Submit a TARGET and move the project away."""
        done = self.rootward("deploy", target, "--detach", "--name", name, *options, cwd=cwd)
        assert done.process.returncode == 0, done.report()
        self.vanish()

    def vanish(self) -> None:
        """Move the folder to where nobody looks for it."""
        self.folder.rename(self.folder.with_name(f".{self.folder.name}.gone"))

    def _run(self, command: list[str], cwd: str) -> Program:
        environ = {**self.network.environ, **self.more}
        return run(command, folder=self.folder / cwd, environ=environ, timeout=SUBMIT_TIMEOUT_S)


def far_worker(network: Network, name: str = "far", *options: str) -> Program:
    """Start a worker on "another machine": another folder, home and cache."""
    home = network.folder / f"machine-{name}"
    home.mkdir()
    program = Program(
        rootward("worker", "--name", name, *options),
        folder=home,
        environ={**network.environ, "HOME": str(home), "ROOTWARD_CACHE": str(home / "cache")},
        name=name,
    )
    network.workers.append(program)
    return program
