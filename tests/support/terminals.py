"""Programs that are started from a terminal of their own, which is closed under them.

The kernel then tells the program (SIGHUP), as when somebody closes a window or a connection breaks.
What it wrote to the terminal is read in the background, so that it never waits for its reader.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Self

from tests.support.programs import STOP_TIMEOUT_S, environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class TerminalProgram:
    """A program whose session has a terminal; a context manager that ends it."""

    def __init__(
        self, command: Sequence[str], *, folder: Path, environ: Mapping[str, str | None]
    ) -> None:
        self._master, slave = os.openpty()
        self._written = bytearray()
        self._stopped, self._stop_fd = os.pipe()

        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command], stdin=slave, stdout=slave, stderr=slave, cwd=folder,
            env=environment(environ),
        )  # fmt: skip
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def written(self) -> str:
        """What the terminal has shown so far."""
        return bytes(self._written).decode(errors="replace")

    def close_terminal(self) -> None:
        """Close it: the program gets a SIGHUP, and can't write any more."""
        if self._stop_fd >= 0:
            os.close(self._stop_fd)
            self._stop_fd = -1
            self._reader.join()

    def wait(self, timeout: float) -> int:
        """Return the exit code; fails with what was written when it takes over `timeout` s."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s: {self.written}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.close_terminal()

    def _read(self) -> None:
        """Read until the terminal is to be closed, and close it: nobody else has it open."""
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        poll.register(self._stopped, select.POLLIN)
        while not any(fd == self._stopped for fd, _ in poll.poll()):
            try:
                self._written += os.read(self._master, 1 << 16)
            except OSError:
                # The program has ended.
                poll.unregister(self._master)
        os.close(self._master)
        os.close(self._stopped)
