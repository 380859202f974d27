"""Calls of served modules: one blocking HTTP/1.1 client, made for many small calls.

It owns the choice of the replica: the less busy of two drawn at random. A
replica that refuses, or that says that it isn't the one meant, is left for another; while none is
there the call is held. A call that may have begun is repeated only if the caller says that it may
be, and never once something of the answer has come. What is inside the bodies is `envelope`'s
business, who answers where `routes`'.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from ..errors import CallError, Unavailable
from . import envelope, tracing
from .connections import Connection, NotSent, busy, connect, place
from .endpoints import Endpoint, PushedRoutes, Routes

__all__ = ["Endpoint", "PushedRoutes", "Routes", "call", "stream"]

OnStatus = Callable[[int], None] | None
"""Called with the HTTP status of each answer, 0 where none has come."""
# A call that ends its replica each time must not end them all.
MAX_BEGUN: Final = 3
_MAX_HEADERS: Final = 100


class _Missed(Exception):
    """A replica did not answer; `begun` tells whether it may have begun the call."""

    def __init__(self, why: str, *, begun: bool) -> None:
        super().__init__(why)
        self.begun = begun


def call(
    routes: Routes,
    path: str,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    hold: float = 10.0,
    timeout: float | None = None,
    repeatable: bool = True,
    on_status: OnStatus = None,
) -> Any:
    """Call the service at `path` and return its result; an iterator when it answers with a stream.

    `hold` is how long (seconds) to wait for a replica, `timeout` how long for the answer, or for
    each item of a stream. `on_status` hears the HTTP status of each attempt. Raises what the
    service raised (RemoteError where its class can't be had here), Unavailable, TimeoutError,
    CallError.
    """
    answer = _answered(routes, path, (args, kwargs or {}), hold, timeout, repeatable, on_status)
    return answer.items() if answer.is_stream else answer.value()


def stream(
    routes: Routes,
    path: str,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    hold: float = 10.0,
    timeout: float | None = None,
    repeatable: bool = True,
    on_status: OnStatus = None,
) -> Iterator[Any]:
    """Call the service at `path` and yield what it yields; a plain result is the only item."""
    answer = _answered(routes, path, (args, kwargs or {}), hold, timeout, repeatable, on_status)
    if answer.is_stream:
        yield from answer.items()
    else:
        yield answer.value()


def _answered(
    routes: Routes,
    path: str,
    arguments: tuple[tuple[Any, ...], dict[str, Any]],
    hold: float,
    timeout: float | None,
    repeatable: bool,
    on_status: OnStatus,
) -> _Answer:
    held_until: float | None = None
    begun, why = 0, "it has no replica"
    tried: set[Endpoint] = set()
    while True:
        endpoints = routes.endpoints(path)
        if held_until is not None and time.monotonic() >= held_until:
            # Each may still be asked once; those that come back from an ejection, not for ever.
            endpoints = tuple(each for each in endpoints if each not in tried)
        if not endpoints:
            if not routes.is_coming(path):
                raise Unavailable(
                    f"{path} has no replica and none is on its way: deploy it, or `rootward scale` "
                    "it up"
                )
            if held_until is None:
                held_until = time.monotonic() + hold
            left = held_until - time.monotonic()
            if left <= 0 or not (endpoints := routes.wait(path, (), left)):
                raise Unavailable(
                    f"{path}: no replica took the call within {hold:g} s; the last that was heard: "
                    f"{why}"
                )
        endpoint = _less_busy(endpoints)
        body = envelope.seal_call(*arguments, routes.key, endpoint.token)
        try:
            return _ask(endpoint, path, body, routes.key, timeout, on_status)
        except _Missed as missed:
            routes.eject(path, endpoint)
            tried.add(endpoint)
            why = f"{endpoint.url} {missed}"
            if missed.begun:
                begun += 1
                if not repeatable or begun == MAX_BEGUN:
                    raise CallError(_lost(path, why, begun, repeatable)) from missed
                held_until = None
            elif held_until is None:
                held_until = time.monotonic() + hold


def _lost(path: str, why: str, begun: int, repeatable: bool) -> str:
    if not repeatable:
        return f"{path}: {why}; the call may have begun, and it isn't repeatable"
    return f"{path}: {why}; {begun} replicas ended while they ran this call: it isn't sent again"


def _less_busy(endpoints: tuple[Endpoint, ...]) -> Endpoint:
    if len(endpoints) == 1:
        return endpoints[0]
    one, other = random.sample(endpoints, 2)
    return one if busy(one.token) <= busy(other.token) else other


def _ask(
    endpoint: Endpoint,
    path: str,
    body: bytes,
    key: bytes,
    timeout: float | None,
    on_status: OnStatus,
) -> _Answer:
    """Send one call to one replica and return its answer once the first of it is here."""
    try:
        connection = connect(endpoint.url, endpoint.token)
    except OSError as error:
        raise _Missed(f"can't be reached ({error})", begun=False) from error
    answer = _Answer(connection, endpoint, path, body, key)
    try:
        answer.begin(_head(endpoint, len(body)), timeout)
    except BaseException as error:
        answer.close()
        if isinstance(error, TimeoutError):
            raise TimeoutError(f"{path}: {endpoint.url} took longer than {timeout} s") from None
        raise
    finally:
        if on_status is not None:
            on_status(answer.status)
    return answer


def _head(endpoint: Endpoint, length: int) -> bytes:
    there = place(endpoint.url)
    return (
        f"POST {there.prefix}/call HTTP/1.1\r\nHost: {there.netloc}\r\n"
        f"Content-Type: {envelope.CALL_TYPE}\r\nX-Rootward-Token: {endpoint.token}\r\n"
        f"{tracing.headers()}Content-Length: {length}\r\n\r\n"
    ).encode()


class _Answer:
    """One call under way and its answer; it ends when it is read, closed or forgotten."""

    def __init__(
        self, connection: Connection, endpoint: Endpoint, path: str, call_body: bytes, key: bytes
    ) -> None:
        self.is_stream = False
        self._connection, self._endpoint, self._path = connection, endpoint, path
        self._call, self._key = call_body, key
        self.status = 0
        self._headers: dict[bytes, bytes] = {}
        self._body = b""
        self._ahead = b""
        self._is_released = False
        connection.occupy()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """End the call here, whatever it still does there."""
        self._release(keep=False)

    def begin(self, head: bytes, timeout: float | None) -> None:
        """Send the call; read the answer's head and as much as tells that it has been taken."""
        connection = self._connection
        self._prove(timeout)
        try:
            connection.send(head, self._call, timeout)
        except NotSent as error:
            raise _Missed("broke off before the call was sent", begun=False) from error
        try:
            self.status = int(connection.line().split(b" ", 2)[1])
            for _ in range(_MAX_HEADERS):
                line = connection.line()
                if line == b"\r\n":
                    break
                name, _, value = line.partition(b":")
                self._headers[name.lower()] = value.strip()
        except (OSError, ValueError, IndexError) as error:
            if _is_our_timeout(error):
                raise
            raise self._missed("it answered", error) from error
        content_type = self._headers.get(b"content-type", b"").decode("latin-1")
        self.is_stream = content_type == envelope.STREAM_TYPE
        try:
            self._body = self._frame() if self.is_stream else self._whole()
        except OSError as error:
            if _is_our_timeout(error):
                raise
            # The caller has had nothing of it yet, not even of a whole answer that came in part.
            what = "the first item" if self.is_stream else "its answer was whole"
            raise self._missed(what, error) from error
        if self.status in (421, 503) and content_type != envelope.CALL_TYPE:
            raise _Missed(f"answered {self.status}", begun=False)
        if content_type not in (envelope.CALL_TYPE, envelope.STREAM_TYPE):
            raise CallError(f"{self._path}: {self._endpoint.url} {self._refusal()}")

    def _missed(self, before: str, error: Exception) -> _Missed:
        why = "the registry says that it is gone" if self._connection.is_lost else str(error)
        return _Missed(f"broke off before {before} ({why})", begun=True)

    def _prove(self, timeout: float | None) -> None:
        """Send nothing of the call before the other side has proven that it is the replica."""
        try:
            self._connection.prove(self._key, timeout)
        except OSError as error:
            if isinstance(error, TimeoutError) and timeout is not None:
                raise
            raise _Missed(f"can't be called ({error})", begun=False) from error

    def value(self) -> Any:
        """Return the result, or raise what the service raised."""
        self._release(keep=True)
        return envelope.open_answer(self._body, self._key, envelope.answer_context(self._call))

    def items(self) -> Iterator[Any]:
        """Yield the items of a stream as they come; closing the iterator ends the stream."""
        whole, index = False, 0
        try:
            while True:
                context = envelope.answer_context(self._call, index)
                try:
                    item = envelope.open_answer(self._body, self._key, context)
                except envelope.EndOfStream:
                    last = self._connection.line() + self._connection.line()
                    whole = last == b"0\r\n\r\n"
                    return
                yield item
                try:
                    self._body = self._frame()
                except OSError as error:
                    if _is_our_timeout(error):
                        raise
                    raise CallError(
                        f"{self._path}: the stream from {self._endpoint.url} broke off after "
                        f"{index + 1} items"
                    ) from error
                index += 1
        finally:
            self._release(keep=whole)

    def _whole(self) -> bytes:
        return self._connection.read(int(self._headers.get(b"content-length", b"0")))

    def _frame(self) -> bytes:
        # A replica sends each frame as one chunk; a proxy between may cut anew, so chunks are
        # joined until the frame's own length is there.
        data = self._ahead
        while len(data) < envelope.FRAME.size or len(data) < _frame_end(data):
            try:
                size = int(self._connection.line().split(b";")[0], 16)
            except ValueError:
                size = 0
            if size == 0:
                raise ConnectionResetError("the stream ended early")
            data += self._connection.read(size)
            self._connection.read(2)
        end = _frame_end(data)
        self._ahead = data[end:]
        return data[envelope.FRAME.size : end]

    def _refusal(self) -> str:
        import json

        try:
            error = json.loads(self._body)["error"]
            return f"refused the call: {error['type']}: {error['message']}"
        except (ValueError, KeyError, TypeError):
            return f"answered {self.status}, which is no answer to a signed call"

    def _release(self, *, keep: bool) -> None:
        if self._is_released:
            return
        self._is_released = True
        self._connection.vacate()
        if keep and self._headers.get(b"connection", b"").lower() != b"close":
            self._connection.keep()
        else:
            self._connection.close()


def _is_our_timeout(error: Exception) -> bool:
    """Whether it is the caller's own time; with a number it is the kernel's word on the host."""
    return isinstance(error, TimeoutError) and error.errno is None


def _frame_end(data: bytes) -> int:
    length: int = envelope.FRAME.unpack_from(data)[0]
    return envelope.FRAME.size + length
