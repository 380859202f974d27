"""How an owner hands tasks to the main thread of one process, and takes back what hasn't begun.

What a task is travels in messages; that it may begin is its number on a stream of its own. Process
and owner both read that stream, and the kernel gives each number to one of them: so a task is
either begun or taken back, never both, however busy, stopped or dead the process is.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from . import channel

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

_NUMBER: Final = struct.Struct(">I")
# Whole numbers only, as each is written in one piece.
_MOST: Final = 256 * _NUMBER.size


class Dispatch:
    """The owner's end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_message: Callable[[channel.Message, list[int]], None],
    ) -> None:
        """Make both ends; `descriptors` are what the process needs."""
        self._channel, self._their_channel = channel.pair()
        self._channel.attach(loop, on_message, self._hung_up)
        self._left: list[int] = []
        try:
            self._numbers, self._their_numbers = socket.socketpair()
        except OSError:
            self._channel.close()
            self._their_channel.close()
            raise
        self._numbers.setblocking(False)

    @property
    def descriptors(self) -> list[int]:
        """The ends for the process; they may be closed here by `handed_over` only."""
        return [self._their_channel.fileno(), self._their_numbers.fileno()]

    def handed_over(self) -> None:
        """Close what only the process reads."""
        self._their_channel.close()

    def send(self, message: channel.Message) -> None:
        """Send a message; it is read when the process looks for it."""
        self._channel.send(message)

    def allow(self, numbers: Sequence[int]) -> None:
        """Let the tasks of these numbers begin, one after the other."""
        try:
            self._numbers.send(b"".join(map(_NUMBER.pack, numbers)))
        except OSError:
            # Its end is told by others; what it hasn't begun is still here to be taken back.
            return

    def take_back(self) -> list[int]:
        """Return the numbers of the tasks that haven't begun, and now never will."""
        if self._left:
            left, self._left = self._left, []
            return left
        try:
            taken = self._their_numbers.recv(_MOST, socket.MSG_DONTWAIT)
        except OSError:
            return []
        return [number for (number,) in _NUMBER.iter_unpack(taken)]

    def drain(self) -> None:
        """Report what the process has said until now."""
        self._channel.drain()

    def close(self) -> None:
        """Close everything; twice is harmless."""
        self._channel.close()
        self._their_channel.close()
        self._numbers.close()
        self._their_numbers.close()

    def _hung_up(self) -> None:
        """The process is gone: only what it hasn't begun is left."""
        self._left = self.take_back()
        self.close()


class Work:
    """The process's end; used by its main thread alone, but for `send`."""

    def __init__(self, control: int, numbers: int) -> None:
        """Take over both descriptors."""
        self._channel = channel.Channel(socket.socket(fileno=control))
        self._numbers = socket.socket(fileno=numbers)
        self._tasks: dict[int, channel.Message] = {}
        self._states: list[bytes] = []
        self._has_leave = False
        self._answers: deque[channel.Message] = deque()
        self._sending = threading.Lock()

    def next(self) -> channel.Message | None:
        """Wait until a task may begin; return it with the states since the last, None at the end.

        The end is that of the owner.
        """
        received = self._numbers.recv(_NUMBER.size)
        if not received:
            return None
        (number,) = _NUMBER.unpack(received)
        while number not in self._tasks:
            if not self._read():
                return None
        # They begin in order: what stands before it was taken back.
        for earlier in list(self._tasks):
            task = self._tasks.pop(earlier)
            if earlier == number:
                break
        task["states"], self._states = self._states, []
        # What came after the end of the task before it.
        self._answers.clear()
        return task

    def send(self, message: channel.Message) -> None:
        """Say something to the owner, from any thread; raises OSError when it is gone."""
        with self._sending:
            self._channel.send(message)

    def await_leave(self) -> None:
        """Return when the owner has let go on, or is gone."""
        while not self._has_leave and self._read():
            pass
        self._has_leave = False

    def next_answer(self) -> channel.Message | None:
        """Wait for what the owner answers to the running task; None when it is gone."""
        while not self._answers:
            if not self._read():
                return None
        return self._answers.popleft()

    def close(self) -> None:
        """Let go of both."""
        self._channel.close()
        self._numbers.close()

    def _read(self) -> bool:
        received = self._channel.recv()
        if received is None:
            return False
        message, _ = received
        if message["op"] == "go":
            self._has_leave = True
            return True
        if message["op"] == "answer":
            self._answers.append(message)
            return True
        self._states += message["states"]
        for task in message["tasks"]:
            self._tasks[task["number"]] = task
        return True
