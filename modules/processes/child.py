"""The owner's end of one slot or replica: its channel, its output, its end.

A Child is made by a Template and belongs to one event loop. What its process says comes as
messages, what it prints as bytes; its exit is told last, after all that it had printed. A kill
reaches its whole process group. Nothing here decides what a process is for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from . import channel
from .dispatch import Dispatch

if TYPE_CHECKING:
    from .scarcity import NoProcess

_READ_BYTES: Final = 1 << 16
# What a grandchild keeps printing after the process has ended must not hold up the news of it.
_LAST_BYTES: Final = 1 << 22


class Pipes:
    """Standard output and error of one process, read by the loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_output: Callable[[int, bytes], None]
    ) -> None:
        """Have none yet; `open` makes both."""
        self._loop, self._on_output = loop, on_output
        self._ours: dict[int, int] = {}
        self.theirs: list[int] = []
        self._is_watching = True

    def open(self) -> None:
        """Make both, `theirs` are the ends for the process; OSError, and none, without room."""
        for number in (1, 2):
            try:
                ours, theirs = os.pipe()
            except OSError:
                self.close()
                raise
            os.set_blocking(ours, False)
            self._ours[number] = ours
            self.theirs.append(theirs)
            self._loop.add_reader(ours, self._read, number)

    def hand_over(self) -> None:
        """Close the process's ends here, once it has its own."""
        while self.theirs:
            os.close(self.theirs.pop())

    def watch(self, on: bool) -> None:
        """Read what comes when it comes, as at first, or by `drain` only."""
        if on is self._is_watching:
            return
        self._is_watching = on
        for number, fd in self._ours.items():
            if on:
                self._loop.add_reader(fd, self._read, number)
            else:
                self._loop.remove_reader(fd)

    def drain(self) -> None:
        """Read what is in the pipes now."""
        for number in list(self._ours):
            left = _LAST_BYTES
            while left > 0 and (size := self._read(number)):
                left -= size

    def close(self) -> None:
        """Read no more."""
        self.hand_over()
        for number in list(self._ours):
            self._close(number)

    def _read(self, number: int) -> int:
        if number not in self._ours:
            return 0
        try:
            data = os.read(self._ours[number], _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return 0
        if data:
            self._on_output(number, data)
        else:
            self._close(number)
        return len(data)

    def _close(self, number: int) -> None:
        fd = self._ours.pop(number)
        if not self._loop.is_closed():
            self._loop.remove_reader(fd)
        os.close(fd)


class Child:
    """One slot or replica; set the callbacks before the loop runs again."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, child_id: str, *, has_lane: bool = False
    ) -> None:
        """Make channel, pipes and the lane of a slot; a Template starts the process."""
        self.id = child_id
        self.pid: int | None = None
        # Its own first words may come before the Template has told of it.
        self.pid_known: asyncio.Future[None] = loop.create_future()
        self.has_ended = False
        self.refusal: NoProcess | None = None
        self.on_message: Callable[[Child, channel.Message], None] | None = None
        self.on_output: Callable[[Child, int, bytes], None] | None = None
        self.on_exit: Callable[[Child, int | None], None] | None = None
        self._killed_with: signal.Signals | None = None
        self._channel, self._theirs = channel.pair()
        # The end of the channel is no news: the exit is told by whoever waits for the process.
        self._channel.attach(loop, self._said, lambda: None)
        self._lane: Dispatch | None = None
        self._pipes = Pipes(loop, self._printed)
        try:
            self._pipes.open()
            self._lane = Dispatch(loop, self._said) if has_lane else None
        except OSError:
            self.abandon()
            raise

    @property
    def lane(self) -> Dispatch:
        """Where a slot gets its tasks."""
        assert self._lane is not None, "only slots run tasks"
        return self._lane

    def descriptors(self, *more: int) -> list[int]:
        """Return what the process needs: its end of the channel, standard output, error, more."""
        lane = self._lane.descriptors if self._lane is not None else ()
        return [self._theirs.fileno(), *self._pipes.theirs, *lane, *more]

    def send(self, message: channel.Message) -> None:
        """Send a message; lost when the process has ended."""
        if not self.has_ended:
            self._channel.send(message)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to its process group; one that hasn't started yet gets it then."""
        if self.has_ended:
            return
        if self.pid is None:
            self._killed_with = number
            return
        try:
            os.killpg(self.pid, number)
        except OSError:
            # Not yet the leader of its group.
            try:
                os.kill(self.pid, number)
            except OSError:
                return

    def drain_output(self) -> None:
        """Report what it has printed until now."""
        self._pipes.drain()

    def watch_output(self, on: bool) -> None:
        """Report what it prints at once, as at first, or by `drain_output` only."""
        self._pipes.watch(on)

    def handed_over(self) -> None:
        """Close the process's ends: a Template has sent them."""
        self._theirs.close()
        self._pipes.hand_over()
        if self._lane is not None:
            self._lane.handed_over()

    def started(self, pid: int) -> None:
        """Take the word of the Template that it runs."""
        self.pid = pid
        if not self.pid_known.done():
            self.pid_known.set_result(None)
        if self._killed_with is not None:
            self.kill(self._killed_with)

    def refused(self, error: NoProcess) -> None:
        """Take the word of the Template that there never was a process."""
        self.refusal = error
        self.ended(None)

    def abandon(self) -> None:
        """Close everything of one that no Template was asked for; nothing is reported."""
        self.has_ended = True
        self._channel.close()
        self._theirs.close()
        self._pipes.close()
        if self._lane is not None:
            self._lane.close()

    def ended(self, waitstatus: int | None) -> None:
        """Take the word of the Template that it has ended; None when its status is unknown."""
        if self.has_ended:
            return
        # What it said and printed last may still be unread.
        self._channel.drain()
        if self._lane is not None:
            self._lane.drain()
        self._pipes.drain()
        self.has_ended = True
        self._pipes.close()
        self._channel.close()
        self._theirs.close()
        if self.on_exit is not None:
            self.on_exit(self, waitstatus)
        if self._lane is not None:
            # Until here its owner may take back what it hasn't begun.
            self._lane.close()

    def _said(self, message: channel.Message, fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)
        if self.on_message is not None and not self.has_ended:
            self.on_message(self, message)

    def _printed(self, number: int, data: bytes) -> None:
        if self.on_output is not None:
            self.on_output(self, number, data)


def listen(host: str, port: int | None) -> socket.socket:
    """Bind a socket for a replica (any free port for None); OSError says what is taken.

    Nothing can connect before the replica itself listens.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if port is not None:
            # Free again right after its last user has ended; taken while one listens. Not for a
            # free port: two sockets that don't listen yet could then be given the same.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port or 0))
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"{host} port {port}: {error.strerror}") from error
    return sock
