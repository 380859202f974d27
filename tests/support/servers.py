"""A Redis of a test's own, at a TCP address, that it may kill and start again."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING, Self

from rootward.orchestrator.embedded.server import find_binary
from tests.support.programs import Program
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


class Server:
    """A Redis with an append-only file, or one that `forgets`; `kill` and `start` as wanted."""

    def __init__(self, folder: Path, *, forgets: bool = False) -> None:
        self._persistence = "no" if forgets else "yes"
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = sock.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder / "redis"
        self._folder.mkdir()
        self._program: Program | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._program is not None:
            self._program.__exit__()

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", self._persistence]
        command = [str(find_binary()), "--port", str(self.port), *options]
        self._program = Program(command, folder=self._folder, name="redis")
        wait_until(self._answers, description="the server answers", timeout=20)

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._program is not None
        return self._program.process.pid

    def kill(self) -> None:
        assert self._program is not None
        self._program.stop(signal.SIGKILL)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
