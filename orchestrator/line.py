"""One connection to Redis in an event loop, for the few calls on which every task waits.

It saves the way through another thread and back. It knows no retries: whatever goes wrong, also an
error that Redis answers, ends the connection and fails what was asked as `LineDown`, and the caller
makes the same call by the clients' own means. Without a plain socket there is no line.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import hiredis

_READ_BYTES: Final = 1 << 16
PATIENCE_S: Final = 5.0
"""Seconds that an answer may take."""

Part = str | bytes | int | float


class LineDown(Exception):
    """There is no answer to be had here: whether the call was made isn't known."""


class Line:
    """A connected socket, on which nothing is under way, as an event loop uses it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        """Take over `sock`."""
        self._loop, self._sock = loop, sock
        self._answers = hiredis.Reader()
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._unsent = bytearray()
        self._is_held_up = False
        sock.setblocking(False)
        loop.add_reader(sock.fileno(), self._read)

    @property
    def is_open(self) -> bool:
        """Whether it can be asked."""
        return self._sock.fileno() >= 0

    async def ask(self, command: Sequence[Part]) -> Any:
        """Send a command and return the answer; raises LineDown."""
        if not self.is_open:
            raise LineDown("it is closed")
        answer = self._loop.create_future()
        self._asked.append(answer)
        parts: Any = tuple(command)
        self._unsent += hiredis.pack_command(parts)
        self._write()
        late = self._loop.call_later(PATIENCE_S, self.close)
        try:
            return await answer
        except asyncio.CancelledError:
            # Its answer must not be taken for the next one's.
            self.close()
            raise
        finally:
            late.cancel()

    async def until_quiet(self) -> None:
        """Return when what was asked until now has been answered, or has failed."""
        if self._asked:
            await asyncio.wait({self._asked[-1]})

    def close(self) -> None:
        """Close it; what waits fails. Twice is harmless."""
        if self.is_open:
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()
        while self._asked:
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_exception(LineDown("the connection has ended"))

    def _write(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close()
            return
        del self._unsent[:sent]
        if self._unsent:
            self._is_held_up = True
            self._loop.add_writer(self._sock.fileno(), self._write)
        elif self._is_held_up:
            self._is_held_up = False
            self._loop.remove_writer(self._sock.fileno())

    def _read(self) -> None:
        try:
            data = self._sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._answers.feed(data)
        try:
            while self._asked and (answer := self._answers.gets()) is not False:
                if isinstance(answer, hiredis.ReplyError):
                    self.close()
                    return
                asked = self._asked.popleft()
                if not asked.done():
                    asked.set_result(answer)
        except hiredis.ProtocolError:
            self.close()
