"""Messages between an owner and its processes: msgpack frames over a unix socket.

A frame is the length of its body (4 bytes), the number of file descriptors that travel with it (1
byte) and the body. A Channel is used in one of two ways: blocking, by templates, slots and
replicas, or attached to an event loop, by owners, where a write never blocks. End-of-file means
that the other side is gone. Both sides are our own processes: nothing here is checked against
malice.
"""

from __future__ import annotations

import array
import os
import socket
import struct
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..state.packed_map import pack_map

if TYPE_CHECKING:
    import asyncio

Message = dict[str, Any]

_HEADER: Final = struct.Struct(">IB")
_READ_BYTES: Final = 1 << 18
_MAX_FDS: Final = 8
_FDS_SPACE: Final = socket.CMSG_SPACE(_MAX_FDS * array.array("i").itemsize)


class Channel:
    """One end of a socketpair; closing it is what the other side hears as the end."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over `sock`."""
        self._sock = sock
        self._received = bytearray()
        # Of each frame that brings descriptors; none when there was no room for them here.
        self._received_fds: deque[list[int]] = deque()
        self._send_lock = threading.Lock()
        self._unsent: deque[tuple[memoryview, list[int]]] = deque()
        self._is_writing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_message: Callable[[Message, list[int]], None] | None = None
        self._on_eof: Callable[[], None] | None = None
        _open.add(self)

    def fileno(self) -> int:
        """Return the descriptor, -1 once it is closed."""
        return self._sock.fileno()

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send a message, and duplicates of `fds` with it.

        An attached channel never blocks, and raises OSError only when no descriptor is free: a
        dead peer is reported as the end. A blocking one raises OSError.
        """
        first, *more = _frame(message, len(fds))
        if self._loop is None:
            with self._send_lock:
                _send_all(self._sock, first, fds)
                for part in more:
                    self._sock.sendall(part)
            return
        is_idle = not self._unsent
        # The caller may close its descriptors at once; the frame may have to wait.
        self._unsent.append((first, _duplicates(fds)))
        self._unsent.extend((part, []) for part in more)
        if is_idle:
            self._write()

    def recv(self) -> tuple[Message, list[int]] | None:
        """Wait for the next message and its descriptors; None is the end.

        A message that was sent with some comes without when this process may open no more files.
        """
        while (item := self._next()) is None:
            if not self._read():
                return None
        return item

    @property
    def has_message(self) -> bool:
        """Whether `recv` would return at once, because the next message has been read already."""
        if len(self._received) < _HEADER.size:
            return False
        length: int = _HEADER.unpack_from(self._received)[0]
        return len(self._received) >= _HEADER.size + length

    def attach(
        self,
        loop: asyncio.AbstractEventLoop,
        on_message: Callable[[Message, list[int]], None],
        on_eof: Callable[[], None],
    ) -> None:
        """Call back from `loop`, whose thread alone uses the channel from now on."""
        self._sock.setblocking(False)
        self._loop, self._on_message, self._on_eof = loop, on_message, on_eof
        loop.add_reader(self._sock.fileno(), self._readable)

    def drain(self) -> None:
        """Report what the other side of an attached channel has sent until now."""
        while self._sock.fileno() >= 0 and self._readable():
            pass

    def close(self) -> None:
        """Close this end; a second call does nothing, and no callback comes any more."""
        if self._sock.fileno() < 0:
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
        while self._unsent:
            _close_all(self._unsent.popleft()[1])
        while self._received_fds:
            _close_all(self._received_fds.popleft())
        self._sock.close()

    def _next(self) -> tuple[Message, list[int]] | None:
        import msgpack

        if not self.has_message:
            return None
        length, count = _HEADER.unpack_from(self._received)
        end = _HEADER.size + length
        with memoryview(self._received) as received, received[_HEADER.size : end] as body:
            message = msgpack.unpackb(body, strict_map_key=False)
        del self._received[:end]
        return message, self._received_fds.popleft() if count else []

    def _read(self) -> bool:
        """Read once; False is the end. Raises BlockingIOError when nothing is there."""
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(_READ_BYTES, _FDS_SPACE)
        except ConnectionError:
            return False
        # Those of two frames never come together.
        numbers = array.array("i")
        for level, kind, fds in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers.frombytes(fds[: len(fds) - len(fds) % numbers.itemsize])
        received = list(numbers)
        for fd in received:
            os.set_inheritable(fd, False)
        is_short = bool(flags & socket.MSG_CTRUNC)
        if is_short:
            _close_all(received)
        if received or is_short:
            self._received_fds.append(received)
        self._received += data
        return bool(data)

    def _readable(self) -> bool:
        """Read once and report what is whole; False when nothing was there."""
        assert self._on_message is not None
        assert self._on_eof is not None
        try:
            is_open = self._read()
        except (BlockingIOError, InterruptedError):
            return False
        while self._sock.fileno() >= 0 and (item := self._next()) is not None:
            self._on_message(*item)
        if not is_open and self._sock.fileno() >= 0:
            self.close()
            self._on_eof()
        return is_open

    def _write(self) -> None:
        assert self._loop is not None
        while self._unsent and self._sock.fileno() >= 0:
            frame, fds = self._unsent[0]
            try:
                sent = _send_some(self._sock, frame, fds)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._sock.fileno(), self._write)
                self._is_writing = True
                return
            except OSError:
                # The reader reports the end, after what the peer had still said.
                break
            _close_all(fds)
            if sent < len(frame):
                self._unsent[0] = (frame[sent:], [])
            else:
                self._unsent.popleft()
        while self._unsent:
            _close_all(self._unsent.popleft()[1])
        if self._is_writing and self._sock.fileno() >= 0:
            self._is_writing = False
            self._loop.remove_writer(self._sock.fileno())


# Of this process. A forked child that kept one would hide its parent's end from the other side.
_open: weakref.WeakSet[Channel] = weakref.WeakSet()


def _close_copies() -> None:
    for channel in list(_open):
        # Only the copy of the descriptor: the event loop's own registration is shared.
        channel._sock.close()
        while channel._received_fds:
            _close_all(channel._received_fds.popleft())
    _open.clear()


os.register_at_fork(after_in_child=_close_copies)


def pair() -> tuple[Channel, socket.socket]:
    """Return an owner's end and the socket for the other process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return Channel(ours), theirs


def _frame(message: Message, count: int) -> list[memoryview]:
    """Return a frame in parts, so that large bytes in it are sent without being copied."""
    first, *more = pack_map(message)
    header = _HEADER.pack(len(first) + sum(map(len, more)), count)
    return [memoryview(header + first), *(memoryview(part) for part in more)]


def _send_all(sock: socket.socket, frame: memoryview, fds: Sequence[int]) -> None:
    if fds:
        frame = frame[_send_some(sock, frame, fds) :]
    sock.sendall(frame)


def _send_some(sock: socket.socket, frame: memoryview, fds: Sequence[int]) -> int:
    return socket.send_fds(sock, [frame], list(fds)) if fds else sock.send(frame)


def _duplicates(fds: Sequence[int]) -> list[int]:
    made: list[int] = []
    try:
        made.extend(map(os.dup, fds))
    except OSError:
        _close_all(made)
        raise
    return made


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
    fds.clear()
