"""Run one command that must not outlive its owner: `leash.py FD FOLDER... -- COMMAND...`.

The owner holds the other end of the pipe FD and never writes to it. When it closes, because the
owner let go or died by any signal, the command and everything that it left behind are killed, and
the folders are removed. SIGTERM is passed on, so that an orderly end stays possible. The file is
run by its path and imports nothing of the project: it has to start in milliseconds, and to be
still there when all else has failed. It exits as the command did.
"""

# pathlib, contextlib and their kin would double the time that this takes to start.
# ruff: noqa: SIM105

from __future__ import annotations

import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    """Ask the Linux kernel; elsewhere the pipe alone has to do."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _start(command: list[str], leash: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        # A group of its own: what the terminal sends to the owner's group never comes here.
        os.setsid()
        os.closerange(3, 1024)
        # Should the leash itself be killed, the kernel still ends the command. The leash has
        # one thread only, so the signal can't come early; the parent may be gone already.
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != leash:
            os._exit(1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execv(command[0], command)  # noqa: S606  # there is no shell to want
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _wait(pid: int, owner: int, bell: int) -> int | None:
    """Return the command's wait status, or None when the owner has gone first."""
    poll = select.poll()
    poll.register(owner, select.POLLIN)
    poll.register(bell, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == owner:
                return None
            for number in os.read(bell, 64):
                if number == signal.SIGTERM:
                    os.kill(pid, signal.SIGTERM)
        # Descendants that were handed to us end here too; only the command decides.
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 0
            if ended == pid:
                return status
            if not ended:
                break


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _kill_rest(pid: int | None) -> None:
    """Kill the command and, as the subreaper of its orphans, everything below it."""
    if pid is not None:
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            pass
    while True:
        for child in _children():
            try:
                os.kill(child, signal.SIGKILL)
            except OSError:
                pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _remove(folder: str) -> None:
    for root, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(os.path.join(root, name))
        for name in folders:
            path = os.path.join(root, name)
            os.unlink(path) if os.path.islink(path) else os.rmdir(path)
    os.rmdir(folder)
    # The folder above is shared by all of this user's runs: the last one takes it along.
    os.rmdir(os.path.dirname(folder))


def main(arguments: list[str]) -> int:
    """Run the command on its leash; return its exit code (128 + number when a signal ended it)."""
    owner = int(arguments[0])
    split = arguments.index("--")
    folders, command = arguments[1:split], arguments[split + 1 :]
    # A stopped leash would not see the end of its owner: the signal wakes it.
    _prctl(PR_SET_PDEATHSIG, signal.SIGCONT)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    bell, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pid = _start(command, os.getpid())
    status = _wait(pid, owner, bell)
    _kill_rest(pid if status is None else None)
    for folder in folders:
        try:
            _remove(folder)
        except OSError:
            pass
    if status is None:
        return 0
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
