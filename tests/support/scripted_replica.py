"""Replicas that do what a test says: they accept connections, read whole requests, and answer.

How to answer is a function of the connection, the body and the token; those that tests need again
and again stand here, too.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from rootward.modules.rpc import envelope, proof
from rootward.modules.rpc.endpoints import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = b"k" * 32


class ScriptedReplica:
    """Accepts connections, reads whole requests, and leaves the answer to a function."""

    def __init__(self, answer: Callable[[socket.socket, bytes, str], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.asked = 0
        self.raw = b""
        self.key = KEY
        self.token = f"token-{id(self)}"
        self._answer = answer
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> Endpoint:
        port = self._listener.getsockname()[1]
        return Endpoint(f"http://127.0.0.1:{port}", self.token, self.token)

    def close(self) -> None:
        # A thread that waits in accept() would keep it open.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # The caller may end the connection at any moment, also with a reset.
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as file:
            while line := file.readline():
                length, challenge = 0, b""
                while line.strip():
                    self.raw += line
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                    if name == proof.HEADER.encode():
                        challenge = value.strip()
                    line = file.readline()
                body = file.read(length)
                if challenge:
                    told = proof.body(self.key, self.token, challenge.decode())
                    send(connection, b"200 OK", "application/json", told)
                    continue
                self.asked += 1
                self._answer(connection, body, self.token)


def doubling(connection: socket.socket, body: bytes, token: str) -> None:
    args, _ = envelope.open_call(body, KEY, token)
    sealed = envelope.seal_value(args[0] * 2, KEY, envelope.answer_context(body))
    send(connection, b"200 OK", envelope.CALL_TYPE, sealed)


def hanging_up(connection: socket.socket, body: bytes, token: str) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def breaking_off(connection: socket.socket, body: bytes, token: str) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
    connection.shutdown(socket.SHUT_RDWR)


def misdirected(connection: socket.socket, body: bytes, token: str) -> None:
    send(connection, b"421 Misdirected", "application/json", b'{"error": {}}')


def refusing_busy(connection: socket.socket, body: bytes, token: str) -> None:
    send(connection, b"503 Service Unavailable", "application/json", b'{"error": {}}')


def refusing(connection: socket.socket, body: bytes, token: str) -> None:
    error = b'{"error": {"type": "TooLarge", "message": "too much"}}'
    send(connection, b"413 Too Large", "application/json", error)


def counting(count: int, *, is_whole: bool) -> Callable[[socket.socket, bytes, str], None]:
    """Stream `count` items, all of them in uneven chunks."""

    def answer(connection: socket.socket, body: bytes, token: str) -> None:
        contexts = [envelope.answer_context(body, index) for index in range(count + 1)]
        parts = [envelope.seal_value(i, KEY, contexts[i]) for i in range(count)]
        if is_whole:
            parts.append(envelope.seal_end(KEY, contexts[count]))
        data = b"".join(envelope.FRAME.pack(len(part)) + part for part in parts)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: "
            + envelope.STREAM_TYPE.encode()
            + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for start in range(0, len(data), 37):
            piece = data[start : start + 37]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        if is_whole:
            connection.sendall(b"0\r\n\r\n")
        else:
            connection.shutdown(socket.SHUT_RDWR)

    return answer


def send(connection: socket.socket, status: bytes, content_type: str, body: bytes) -> None:
    connection.sendall(
        b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
        % (status, content_type.encode(), len(body), body)
    )
