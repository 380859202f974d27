"""The server of a replica without its process, and raw connections to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

from rootward.worker.serving.call import CallRunner, is_async
from rootward.worker.serving.metrics import Metrics
from rootward.worker.serving.parameters import Parameters
from rootward.worker.serving.router import ReplicaApp
from rootward.worker.serving.server import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT_S = 20.0
KEY = b"k" * 32
TOKEN = "the-token"
CALL_TOKEN = "the-call-token"


class ServedFunction:
    """Serves `target` in a thread of its own while it is entered."""

    def __init__(
        self,
        target: Callable[..., Any],
        *,
        concurrency: int = 4,
        host: str = "127.0.0.1",
        **options: Any,
    ) -> None:
        self._host = host
        self.metrics = Metrics("f")
        self._target, self._concurrency, self._options = target, concurrency, options
        self.calls: list[int] = []
        self._sock = socket.create_server((host, 0))
        self.address = "127.0.0.1", self._sock.getsockname()[1]
        self._is_open = threading.Event()
        self.thread_name = ""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_open.wait(TIMEOUT_S)
        return self

    def __exit__(self, *error: object) -> None:
        self.drain(0)
        self.join()

    def drain(self, grace_s: float) -> None:
        with contextlib.suppress(RuntimeError):
            self.listener.loop.call_soon_threadsafe(self.listener.drain, grace_s)

    def join(self) -> None:
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()
        self.serving.pool.dismiss()

    @contextlib.contextmanager
    def connection(self) -> Iterator[RawConnection]:
        with socket.create_connection(self.address, TIMEOUT_S) as sock:
            connection = RawConnection(sock)
            try:
                yield connection
            finally:
                connection.file.close()

    def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        with self.connection() as connection:
            connection.send(request)
            return connection.answer()

    async def _serve(self) -> None:
        self.thread_name = threading.current_thread().name
        app = ReplicaApp(
            self.metrics, host=self._host, token=TOKEN, call_key=KEY, call_token=CALL_TOKEN
        )
        self.serving = CallRunner(
            self._target,
            Parameters.of(self._target),
            self.metrics,
            concurrency=self._concurrency,
            is_async=is_async(self._target),
            **self._options,
        )
        self.listener = Listener(app, self.serving)
        self.listener.on_calls = self.calls.append
        await self.listener.open(self._sock)
        self._is_open.set()
        await self.listener.ended()


class RawConnection:
    """Sends bytes and reads answers."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(self) -> tuple[int, dict[str, str]]:
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline()).strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers

    def answer(self, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        status, headers = self.head()
        if not has_body:
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, b"".join(self.chunks())
        return status, headers, self.file.read(int(headers["content-length"]))

    def chunks(self) -> Iterator[bytes]:
        while size := int(self.file.readline(), 16):
            yield self.file.read(size)
            self.file.read(2)
        assert self.file.readline() == b"\r\n"

    def is_closed(self) -> bool:
        return self.file.read(1) == b""


def post(value: Any, *lines: str, path: str = "/") -> bytes:
    """Return a request that calls with one value."""
    body = json.dumps(value).encode()
    head = "\r\n".join(
        [f"POST {path} HTTP/1.1", "Host: localhost", *lines, f"Content-Length: {len(body)}"]
    )
    return head.encode() + b"\r\n\r\n" + body


def result(body: bytes) -> Any:
    """Return the result in an answer."""
    return json.loads(body)["result"]
