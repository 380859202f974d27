"""Runs programs as a user would: as processes, by command line, in a session of their own.

It owns starting, watching and ending them. Output goes to files, so that a program that writes much
never waits for its reader. A program that was left running is killed when its `with` ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STOP_TIMEOUT_S = 40.0


def rootward(*arguments: str) -> list[str]:
    """Return the command line of `rootward` as installed beside the Python that runs the tests."""
    return [str(Path(sys.executable).with_name("rootward")), *arguments]


class Program:
    """A running program; a context manager that ends it.

    `environ` holds what is to be added to, or (as None) taken from, the environment of the tests.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environ: Mapping[str, str | None] | None = None,
        name: str = "program",
    ) -> None:
        self.command = list(command)
        self.stdout_path = folder / f"{name}.stdout"
        self.stderr_path = folder / f"{name}.stderr"
        with self.stdout_path.open("wb") as stdout, self.stderr_path.open("wb") as stderr:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=folder,
                env=environment(environ),
                start_new_session=True,
            )

    @property
    def stdout(self) -> str:
        """What it has written to standard output so far."""
        return self.stdout_path.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What it has written to standard error so far."""
        return self.stderr_path.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether the process is still there."""
        return self.process.poll() is None

    def wait(self, timeout: float) -> int:
        """Return the exit code; fails with all of the output when it takes over `timeout` s."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still running after {timeout:g} s: {self.command}\n{self.report()}"
            ) from None

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = STOP_TIMEOUT_S) -> int:
        """Send the signal and return the exit code."""
        if self.is_running:
            self.process.send_signal(how)
        return self.wait(timeout)

    def report(self) -> str:
        """Return everything it wrote, for the message of a failed test."""
        return f"--- standard output\n{self.stdout}\n--- standard error\n{self.stderr}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.is_running:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def run(
    command: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str | None] | None = None,
    timeout: float = 60.0,
) -> Program:
    """Run a program to its end and return it, with its output and `process.returncode`."""
    with Program(command, folder=folder, environ=environ, name="run") as program:
        program.wait(timeout)
        return program


def environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Return the environment of the tests with `changes`, without settings of whoever runs them.

    Where the tests stand is of no use to a user's program, so PYTHONPATH isn't passed on.
    """
    environ = {
        name: value
        for name, value in os.environ.items()
        if (not name.startswith("ROOTWARD_") and name not in {"REDIS_URL", "PYTHONPATH"})
        # The tests' own, so that nothing of them stays in the user's.
        or name == "ROOTWARD_CACHE"
    }
    for name, value in (changes or {}).items():
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = value
    return environ
