"""What a foreign server runs in: a command as a process, or the process of the replica itself.

A command is started, waited for, and ended with all that it has started. It has a session and
process group of its own, in which its signals reach wrappers and what those have started. It dies
with the process that keeps it: by the kernel's hand when that is killed (also behind `exec`, which
keeps the death signal), and what it has left behind comes to its keeper, which ends it too. Which
command, when, and what for is the keeper's to say.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from rootward.modules.processes.effort import Effort

from . import process_tree
from .stopped_processes import is_any_stopped

if TYPE_CHECKING:
    from rootward.modules.command import CommandModule


class CannotStart(Exception):
    """A command that can't be started; the message names the option and its value."""


class CommandProcess:
    """One running command; `on_exit` is called once, in a thread, with its return code.

    To be made by the thread that lives as long as its process: the kernel's death signal follows
    the thread. Raises CannotStart.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None,
        on_exit: Callable[[int], None],
    ) -> None:
        check(command, env=env, cwd=cwd)
        me = os.getpid()
        # What its own children leave behind comes here, and not to a process that knows nothing
        # of it.
        process_tree.adopt_orphans()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                env=env,
                cwd=cwd,
                start_new_session=True,
                # One call of the kernel, which was found before any thread was started.
                preexec_fn=lambda: process_tree.die_with_parent(me),  # noqa: PLW1509
            )
        except OSError as error:
            why = error.strerror or str(error)
            raise CannotStart(f"command[0] {command[0]!r} can't be run: {why}") from error
        self._efforts: dict[int, Effort] = {}
        self._on_exit = on_exit
        threading.Thread(target=self._wait, name="rootward-command", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process, and its group."""
        return self._process.pid

    def signal(self, name: str) -> None:
        """Send a signal to its process group, in which are those that it has started."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.Signals[name])

    @property
    def is_stopped(self) -> bool:
        """Whether it, or a part of it, was stopped by a signal: until it is continued."""
        return is_any_stopped(self.pid)

    def has_worked(self) -> bool:
        """Whether it, or what it has started, has used a processor since the last look."""
        try:
            family = [self.pid, *(p.pid for p in psutil.Process(self.pid).children(recursive=True))]
        except psutil.Error:
            return False
        self._efforts = {pid: self._efforts.get(pid) or Effort() for pid in family}
        # All of them are looked at, for the next time.
        found = [effort.has_worked(pid) for pid, effort in self._efforts.items()]
        return any(found)

    def end(self) -> None:
        """Kill all that is left of it; return when nothing is."""
        process_tree.kill_all([self.pid])

    def bury(self) -> None:
        """Take note of the ends of what it has left behind."""
        for pid in process_tree.children():
            if pid != self.pid:
                with contextlib.suppress(OSError):
                    os.waitpid(pid, os.WNOHANG)

    def _wait(self) -> None:
        self._on_exit(self._process.wait())


class OwnServer:
    """What `open_server` of a module has opened; it ends with this process, or when it is closed.

    `on_exit` is called once, with 0, when it was closed. What `open_server` raises is raised.
    """

    def __init__(
        self, module: CommandModule, host: str, port: int, *, on_exit: Callable[[int], None]
    ) -> None:
        self._module, self._on_exit = module, on_exit
        self._effort = Effort()
        self._closing: threading.Thread | None = None
        self.port = module.open_server(host, port)

    @property
    def pid(self) -> int:
        """This process."""
        return os.getpid()

    def signal(self, name: str) -> None:
        """Close it at the first signal that asks it to end; the others mean nothing to it."""
        if name == self._module.stop_signal and self._closing is None:
            # It may wait for its own threads, and the loop has to go on.
            self._closing = threading.Thread(target=self._close, daemon=True)
            self._closing.start()

    @property
    def is_stopped(self) -> bool:
        """Whether it, or a part of it, was stopped by a signal: until it is continued."""
        return is_any_stopped(self.pid)

    def has_worked(self) -> bool:
        """Whether this process has used a processor since the last look."""
        return self._effort.has_worked(os.getpid())

    def end(self) -> None:
        """Leave the rest to the end of this process."""

    def bury(self) -> None:
        """Leave its children to it."""

    def _close(self) -> None:
        try:
            self._module.close_server()
        finally:
            self._on_exit(0)


def how_it_ended(code: int) -> str:
    """Say by which code or signal a command ended."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with code {code}"


def check(command: Sequence[str], *, env: Mapping[str, str], cwd: str | None) -> None:
    """Raise CannotStart for a folder or a program that isn't there or can't be used."""
    if cwd is not None and not Path(cwd).is_dir():
        raise CannotStart(f"cwd {cwd!r} is no folder on this worker ({os.uname().nodename})")
    program = command[0]
    path = env.get("PATH", os.defpath)
    if os.sep not in program:
        if shutil.which(program, path=path) is None:
            raise CannotStart(f"command[0] {program!r} isn't found on this worker (PATH={path})")
        return
    place = Path(cwd or os.curdir, program)
    if not place.exists():
        raise CannotStart(f"command[0] {program!r} isn't found on this worker")
    if place.is_dir() or not os.access(place, os.X_OK):
        raise CannotStart(f"command[0] {program!r} isn't executable")
