"""One replica in a program without Redis, as the program sees it.

It turns what its Child says into three moments: ready, gone, frozen. What it prints goes to the
program's own output at once, and the last of it is kept for the error that may come.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..errors import ServeFailed
from ..processes.effort import Effort
from ..processes.states_sent import StatesSent

if TYPE_CHECKING:
    from ..processes.child import Child
    from ..processes.forkserver import ReplicaSpec

_TAIL_LINES: Final = 20
_TAIL_BYTES: Final = 16 << 10


class LocalReplica:
    """A Child that serves; `on_gone` is called when it has ended, for whatever reason."""

    def __init__(
        self, child: Child, spec: ReplicaSpec, port: int, on_gone: Callable[[LocalReplica], None]
    ) -> None:
        """Take over the callbacks of a child that was started just now."""
        self.child = child
        self.endpoint = [f"http://{spec.host}:{port}", spec.token, child.id]
        self.started_at = time.monotonic()
        self.gone = asyncio.Event()
        self.is_retired = False
        self.is_serving = False
        self._path, self._address = spec.path, (spec.host, port)
        self._on_gone = on_gone
        self.on_health: Callable[[LocalReplica], None] = lambda _: None
        self._tail = b""
        self._waitstatus: int | None = None
        self._error: dict[str, str] | None = None
        self._is_ready = asyncio.Event()
        # How often in a row its own health has failed, and why.
        self.failures = 0
        self.ailment = ""
        # What it last said that it waits for, while it starts.
        self.waits_for = ""
        self._is_foreign = False
        self._pings = self._pongs = self._idle_pings = 0
        self._effort = Effort()
        self._verdict = ""
        self._states = StatesSent(child, len(spec.states))
        child.on_message, child.on_output, child.on_exit = self._said, self._printed, self._ended

    async def ready(self) -> None:
        """Return when it serves; raises ServeFailed when it has failed or ended instead."""
        ready = asyncio.ensure_future(self._is_ready.wait())
        gone = asyncio.ensure_future(self.gone.wait())
        try:
            await asyncio.wait((ready, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            gone.cancel()
        if self._error is not None:
            self._tail += self._error["traceback"].encode()
            reason = f"{self._error['type']}: {self._error['message']}"
            raise ServeFailed(self._path, reason)
        if self.gone.is_set():
            raise ServeFailed(self._path, self.how_it_ended())
        if not self._is_foreign:
            await self._probe()

    def send_states(self, log: Sequence[bytes]) -> None:
        """Send what it hasn't seen of a state log."""
        self._states.send(log)

    async def until_applied(self) -> None:
        """Return when it has written what it was sent so far into its tree, or has ended."""
        await self._states.until_applied()

    async def retire(self, drain_s: float) -> None:
        """End it, after the calls under way or `drain_s` seconds; return when it is gone."""
        self.is_retired = True
        if drain_s and self.is_serving and not self.gone.is_set():
            self.child.send({"op": "drain", "grace": drain_s})
            try:
                async with asyncio.timeout(drain_s + 1):
                    await self.gone.wait()
            except TimeoutError:
                pass
        self.kill()
        await self.gone.wait()

    def kill(self, verdict: str = "") -> None:
        """End it at once; `verdict` is then the reason of its end."""
        self._verdict = self._verdict or verdict
        self.child.kill(signal.SIGKILL)

    def ping(self, timeout_s: float) -> bool:
        """Ask it for a sign of life, once a second; false when it gave none for `timeout_s`.

        Counted in pings, not in seconds: a program that was stopped itself judges nobody for it.
        """
        is_silent = self._pings > self._pongs and not self._effort.has_worked(self.child.pid)
        self._idle_pings = self._idle_pings + 1 if is_silent else 0
        if self._idle_pings >= max(2.0, timeout_s):
            return False
        self._pings += 1
        self.child.send({"op": "ping", "n": self._pings})
        return True

    def tail(self) -> str:
        """Return the last lines that it printed."""
        lines = self._tail.decode(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def how_it_ended(self) -> str:
        """Say by which code or signal its process ended."""
        status = self._waitstatus
        if self._verdict:
            return self._verdict
        if status is None:
            return "its process ended"
        if os.WIFSIGNALED(status):
            return f"its process was killed by {signal.Signals(os.WTERMSIG(status)).name}"
        return f"its process exited with code {os.waitstatus_to_exitcode(status)}"

    async def _probe(self) -> None:
        """Ask over HTTP, as a caller would reach it."""
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(
                f"GET /readyz HTTP/1.1\r\nHost: {self._address[0]}\r\nX-Rootward-Token: "
                f"{self.endpoint[1]}\r\nConnection: close\r\n\r\n".encode()
            )
            status = await reader.readline()
        finally:
            writer.close()
        if b" 200 " not in status:
            raise ServeFailed(self._path, f"it isn't ready: {status.decode('latin-1').strip()}")

    def _said(self, child: Child, message: dict[str, Any]) -> None:
        del child
        match message["event"]:
            case "ready":
                self._is_foreign = "port" in message
                if self._is_foreign:
                    self.endpoint[0] = f"http://{self._address[0]}:{message['port']}"
                self._is_ready.set()
            case "waiting":
                self.waits_for = message["reason"]
            case "health":
                self.failures, self.ailment = message["failures"], message["reason"]
                self.on_health(self)
            case "failed":
                self._error = message["error"]
                self._is_ready.set()
            case "pong":
                self._pongs = message["n"]
            case "ending":
                self._verdict = message["reason"]
            case "states_applied":
                self._states.applied()

    def _printed(self, child: Child, fd: int, data: bytes) -> None:
        del child
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        stream = sys.stdout if fd == 1 else sys.stderr
        try:
            stream.write(data.decode(errors="replace"))
            stream.flush()
        except (OSError, ValueError, AttributeError):
            # The program has closed its output, or has none: the tail is kept all the same.
            return

    def _ended(self, child: Child, waitstatus: int | None) -> None:
        del child
        self._waitstatus = waitstatus
        self._states.end()
        self.gone.set()
        self._on_gone(self)
