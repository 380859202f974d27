"""Requests to foreign servers that run as replicas: plain HTTP, to whichever is ready.

A foreign server can't prove that it holds the call key, so nothing of ours is sent to it: no token,
no signature. A replica that refuses the connection is left for another; once a request has been
sent it is sent again only if its method may be repeated, and while none is there it is held.
Each request has a connection of its own, so that none meets one that the server has just closed.
"""

from __future__ import annotations

import http.client
import json as json_
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..errors import CallError, Unavailable
from .connections import CONNECT_TIMEOUT_S, notice_lost_host, place

if TYPE_CHECKING:
    from .endpoints import Endpoint, Routes

HOLD_S: Final = 10.0
REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that have the same effect when they are sent twice."""
_ATTEMPTS: Final = 3
_LONGEST_START: Final = 200


class Headers(dict[str, str]):
    """The headers of an answer; their names are in lower case and found in any."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header's value, several of one name joined by commas."""
        return super().get(name.lower(), default)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignResponse:
    """What a foreign server has answered."""

    status: int
    headers: Headers
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    @property
    def start(self) -> str:
        """The first characters of the body, for messages."""
        return self.body[:_LONGEST_START].decode(errors="replace")

    def json(self) -> Any:
        """Return what the body says; raises CallError for what is no JSON."""
        try:
            return json_.loads(self.body)
        except ValueError as error:
            raise CallError(f"the answer is no JSON ({error}): {self.start}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRequest:
    """One request; `content` is its whole body, None for none."""

    method: str
    path: str
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        method: str,
        path: str,
        json: Any = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ForeignRequest:
        """Return the request; TypeError for two bodies, ValueError for what is no path."""
        if json is not None and content is not None:
            raise TypeError("a request has json or content, not both")
        if not path.startswith("/"):
            raise ValueError(f"the path of a request begins with '/': {path!r:.100}")
        given = dict(headers or {})
        if json is not None:
            content = json_.dumps(json)
            if not any(name.lower() == "content-type" for name in given):
                given["Content-Type"] = "application/json"
        body = content.encode() if isinstance(content, str) else content
        return cls(method=method.upper(), path=path, content=body, headers=given)


def post(
    routes: Routes,
    path: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    hold: float = HOLD_S,
    on_status: Callable[[int], None] | None = None,
) -> Any:
    """Post one value, or an object of keywords, as JSON to `/`; return what is answered.

    JSON is decoded, anything else is text. `on_status` hears the status of the answer. Raises
    TypeError for several values, CallError for any status but 2xx, and what `request` does.
    """
    asked = _posting(path, args, kwargs)
    answer: ForeignResponse = _answered(routes, path, asked, None, _whole, hold)
    if on_status is not None:
        on_status(answer.status)
    if not answer.is_success:
        raise CallError(f"{path}: POST / was answered {answer.status}: {answer.start}")
    return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


def post_for_lines(
    routes: Routes,
    path: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    hold: float = HOLD_S,
) -> Iterator[str]:
    """Post as `post` does, and yield the lines of the answer as they come."""
    return stream(routes, path, _posting(path, args, kwargs), None, hold=hold)


def _posting(path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ForeignRequest:
    if len(args) > 1 or (args and kwargs):
        raise TypeError(f"{path} is posted one value: give one argument, or keywords alone")
    body = json_.dumps(args[0] if args else kwargs)
    headers = {"Content-Type": "application/json"}
    return ForeignRequest.of("POST", "/", content=body, headers=headers)


def request(
    routes: Routes, path: str, asked: ForeignRequest, timeout: float | None
) -> ForeignResponse:
    """Return the whole answer of a replica of the service at `path`.

    Raises Unavailable, TimeoutError, CallError.
    """
    answer: ForeignResponse = _answered(routes, path, asked, timeout, _whole)
    return answer


def stream(
    routes: Routes,
    path: str,
    asked: ForeignRequest,
    timeout: float | None,
    *,
    hold: float = HOLD_S,
) -> Iterator[str]:
    """Yield the lines of the answer of a replica of the service at `path`, without their ends.

    Raises Unavailable, TimeoutError, CallError: also for a status that isn't 2xx.
    """
    answer, connection = _answered(routes, path, asked, timeout, lambda *begun: begun, hold)
    try:
        if not 200 <= answer.status < 300:
            start = answer.read(_LONGEST_START).decode(errors="replace")
            raise CallError(
                f"{path}: {asked.method} {asked.path} was answered {answer.status}: {start}"
            )
        for line in answer:
            yield line.rstrip(b"\r\n").decode(errors="replace")
    except TimeoutError:
        raise TimeoutError(f"{path}: nothing came for {timeout} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise CallError(f"{path}: the stream broke off ({error})") from error
    finally:
        answer.close()
        connection.close()


def _whole(
    answer: http.client.HTTPResponse, connection: http.client.HTTPConnection
) -> ForeignResponse:
    with answer:
        body = answer.read()
    # The server may have said that it would keep it.
    connection.close()
    headers = Headers()
    for name, value in answer.getheaders():
        known = headers.get(name)
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    return ForeignResponse(status=answer.status, headers=headers, body=body)


def _answered(
    routes: Routes,
    path: str,
    asked: ForeignRequest,
    timeout: float | None,
    take: Any,
    hold: float = HOLD_S,
) -> Any:
    """Send a request until a replica has answered; return what `take` makes of the answer."""
    held_until = time.monotonic() + hold
    attempts, why = 0, "it has no replica"
    while True:
        endpoint = _endpoint(routes, path, held_until, why)
        try:
            connection = _connect(endpoint)
        except OSError as error:
            routes.eject(path, endpoint)
            why = f"{endpoint.url} can't be reached ({error})"
            if time.monotonic() >= held_until:
                raise Unavailable(f"{path}: no replica takes connections: {why}") from error
            continue
        try:
            return take(_send(connection, endpoint, asked, timeout), connection)
        except TimeoutError:
            connection.close()
            raise TimeoutError(f"{path}: {endpoint.url} took longer than {timeout} s") from None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            attempts += 1
            why = f"{endpoint.url} broke off before its answer was whole ({error!r})"
            if asked.method not in REPEATABLE or attempts == _ATTEMPTS:
                raise CallError(f"{path}: {why}; {asked.method} isn't sent again") from error
            routes.eject(path, endpoint)


def _endpoint(routes: Routes, path: str, held_until: float, why: str) -> Endpoint:
    endpoints = routes.endpoints(path)
    if not endpoints:
        if not routes.is_coming(path):
            raise Unavailable(
                f"{path} has no replica and none is on its way: deploy it, or `rootward scale` "
                "it up"
            )
        left_s = held_until - time.monotonic()
        if left_s <= 0 or not (endpoints := routes.wait(path, (), left_s)):
            raise Unavailable(
                f"{path}: no replica took the request in time; the last that was heard: {why}"
            )
    return random.choice(endpoints)


def _connect(endpoint: Endpoint) -> http.client.HTTPConnection:
    there = place(endpoint.url)
    connection = http.client.HTTPConnection(there.host, there.port, timeout=CONNECT_TIMEOUT_S)
    connection.connect()
    notice_lost_host(connection.sock)
    return connection


def _send(
    connection: http.client.HTTPConnection,
    endpoint: Endpoint,
    asked: ForeignRequest,
    timeout: float | None,
) -> http.client.HTTPResponse:
    connection.sock.settimeout(timeout)
    headers = {"Host": place(endpoint.url).netloc, "Connection": "close", **asked.headers}
    connection.request(asked.method, asked.path, asked.content, headers)
    return connection.getresponse()
