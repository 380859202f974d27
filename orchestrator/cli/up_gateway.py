"""The gateway that `up` runs beside the worker: on loopback, at a known port if that is free.

It is a process of its own on a leash, with a token of its own that goes with the run. What it
writes goes into a file of the run; its address is said once it listens.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from threading import Thread
from typing import TYPE_CHECKING

from ..embedded.process import OwnedProcess
from .output import tell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PORT = 8421
_LISTENS = re.compile(rb"the gateway listens at (\S+)")


class UpGateway:
    """A gateway process; `close` ends it."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        """Start it."""
        theirs = 0
        ours, theirs = os.pipe()
        command = [sys.executable, "-P", "-m", "rootward", "gateway", "serve"]
        command += ["--port", str(_free_port()), "--token-file", str(folder / "gateway-token")]
        try:
            self._process = OwnedProcess(command, env=environment, output=theirs)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._is_closing = False
        self._reader = Thread(target=self._read, args=(ours, folder / "gateway.log"), daemon=True)
        self._reader.start()

    def close(self) -> None:
        """End it at once; it has nothing to finish once its deployment is being stopped."""
        self._is_closing = True
        self._process.kill()
        self._reader.join(5)

    def _read(self, fd: int, log: Path) -> None:
        """Keep what it writes, and say where the dashboard is; the body of a thread."""
        said = False
        with os.fdopen(fd, "rb") as lines, log.open("ab") as kept:
            for line in lines:
                kept.write(line)
                kept.flush()
                if not said and (found := _LISTENS.search(line)) is not None:
                    said = True
                    tell(f"dashboard: {found[1].decode(errors='replace')}/")
        if not self._is_closing:
            tell(f"the gateway has ended{'' if said else '; there is no dashboard'}")


def _free_port() -> int:
    """Return the known port, or 0 for any when another program has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT
