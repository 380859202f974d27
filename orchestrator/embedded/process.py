"""Child processes that end with this one, whatever ends it.

It starts a command behind `leash.py` and holds the pipe whose end means "the owner is gone". What
the command is, and when it should stop, is the caller's business. Works the same from any thread.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LEASH = str(Path(__file__).with_name("reaper.py"))


class OwnedProcess:
    """A running command; `kill()` and the death of this process end it and all that it started."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        output: int | None = None,
        folders: Sequence[Path] = (),
        keep_fds: Sequence[int] = (),
    ) -> None:
        """Start `command` (its first word is a path).

        `output` is the descriptor for its standard output and error, `folders` are removed when
        all has ended, `keep_fds` are held open until then.
        """
        theirs, self._leash = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    *("-I", "-S", _LEASH, str(theirs)),
                    *map(str, folders),
                    "--",
                    *command,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if env is None else dict(env),
                pass_fds=[theirs, *keep_fds],
                start_new_session=True,
            )
        except BaseException:
            os.close(self._leash)
            raise
        finally:
            os.close(theirs)

    @property
    def exit_code(self) -> int | None:
        """None while it runs, then its exit code (128 + number when a signal ended it)."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask the command to end (SIGTERM)."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when all has ended. Raises TimeoutError after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"still running after {timeout:g} s") from error

    def kill(self) -> None:
        """End it at once, with everything it started; return when nothing is left."""
        if self._leash >= 0:
            os.close(self._leash)
            self._leash = -1
        self._process.wait()
