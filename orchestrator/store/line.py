"""One connection to Redis in an event loop, for the few calls on which every task waits.

It saves the way through another thread and back. It knows no retries: whatever goes wrong, also an
error that Redis answers, ends the connection and fails what was asked as `LineDown`, and the caller
makes the same call by the clients' own means. Without a plain socket there is no line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import hiredis

if TYPE_CHECKING:
    import asyncio
    import socket

_READ_BYTES: Final = 1 << 16
PATIENCE_S: Final = 5.0
"""Seconds that an answer may take."""

Part = str | bytes | int | float
Told = Callable[[Any], None]


class LineDown(Exception):
    """There is no answer to be had here: whether the call was made isn't known."""


class Line:
    """A connected socket, on which nothing is under way, as an event loop uses it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        """Take over `sock`."""
        self._loop, self._sock = loop, sock
        self._answers = hiredis.Reader()
        # What each answer is told to, and since when it is waited for.
        self._asked: deque[tuple[Told, float]] = deque()
        self._quiet: list[asyncio.Future[None]] = []
        self._watch: asyncio.TimerHandle | None = None
        self._unsent = bytearray()
        self._is_held_up = False
        sock.setblocking(False)
        loop.add_reader(sock.fileno(), self._read)

    @property
    def is_open(self) -> bool:
        """Whether it can be asked."""
        return self._sock.fileno() >= 0

    def ask(self, command: Sequence[Part], told: Told) -> None:
        """Send a command; `told` is called once and later, with the answer or with LineDown."""
        if not self.is_open:
            self._loop.call_soon(told, LineDown("it is closed"))
            return
        self._asked.append((told, self._loop.time()))
        parts: Any = tuple(command)
        self._unsent += hiredis.pack_command(parts)
        if self._watch is None:
            self._watch = self._loop.call_later(PATIENCE_S, self._look)
        self._write()

    async def until_quiet(self) -> None:
        """Return when nothing that was asked waits for its answer."""
        if self._asked:
            quiet = self._loop.create_future()
            self._quiet.append(quiet)
            await quiet

    def close(self) -> None:
        """Close it; what waits is told so. Twice is harmless."""
        if not self.is_open:
            return
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        if self._watch is not None:
            self._watch.cancel()
        while self._asked:
            told, _ = self._asked.popleft()
            self._loop.call_soon(told, LineDown("the connection has ended"))
        self._tell_quiet()

    def _look(self) -> None:
        """End it when an answer is late; one timer for all of them, as they are many."""
        self._watch = None
        if not self._asked:
            return
        left_s = self._asked[0][1] + PATIENCE_S - self._loop.time()
        if left_s <= 0:
            self.close()
        else:
            self._watch = self._loop.call_later(left_s, self._look)

    def _tell_quiet(self) -> None:
        while self._quiet:
            quiet = self._quiet.pop()
            if not quiet.done():
                quiet.set_result(None)

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
                told, _ = self._asked.popleft()
                told(answer)
        except hiredis.ProtocolError:
            self.close()
        if self._quiet and not self._asked:
            self._tell_quiet()
