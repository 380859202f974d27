"""The little HTTP server that tells an agent's metrics, if it was given a port.

It runs on the agent's loop, answers one request a connection, and knows two paths: `/metrics` and
`/healthz`. On loopback it answers only who calls it by a name of this machine, so that no web page
reads it by a name of its own. Whoever is slow or sends much is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Collection
from http import HTTPStatus
from typing import Final

from rootward.orchestrator.gateway.access import LOOPBACK, is_loopback
from rootward.orchestrator.metrics.exposition import CONTENT_TYPE
from rootward.orchestrator.settings import SettingsError

logger = logging.getLogger(__name__)

_LONGEST_S: Final = 5.0
_LONGEST_HEAD: Final = 8 * 1024
_REQUEST: Final = re.compile(rb"(GET|HEAD) (/[!-~]*) HTTP/1\.[01]\r\n")
_HOST: Final = re.compile(
    rb"\r\nhost:[ \t]*(\[[0-9a-f:.]+\]|[^\s:]*)(:[0-9]+)?[ \t]*\r\n", re.IGNORECASE
)


@contextlib.asynccontextmanager
async def exposed(host: str, port: int, text: Callable[[], bytes]) -> AsyncIterator[int]:
    """Tell `text()` to who asks at that address; yields the port.

    Raises SettingsError when the address can't be had.
    """
    known = LOOPBACK | {host.encode()} if is_loopback(host) else None

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_LONGEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_answer(head, text, known))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(answer, host, port, limit=_LONGEST_HEAD)
    except OSError as error:
        raise SettingsError(
            f"metrics can't be told at {host}:{port} ({error.strerror}): give another"
            " ROOTWARD_METRICS_PORT, or 0 for any that is free"
        ) from error
    there: int = server.sockets[0].getsockname()[1]
    logger.info("metrics at http://%s:%d/metrics", host, there, extra={"event": "metrics.told"})
    try:
        yield there
    finally:
        server.close()


def _answer(head: bytes, text: Callable[[], bytes], known: Collection[bytes] | None) -> bytes:
    found = _REQUEST.match(head)
    if found is None:
        return _message(HTTPStatus.BAD_REQUEST, "GET /metrics is what can be asked")
    host = _HOST.search(head)
    if known is not None and (host is None or host[1].lower() not in known):
        return _message(HTTPStatus.FORBIDDEN, "call it by a name of this machine")
    path = found[2].partition(b"?")[0]
    if path == b"/metrics":
        answer = _message(HTTPStatus.OK, text())
    elif path == b"/healthz":
        answer = _message(HTTPStatus.OK, "ok\n")
    else:
        answer = _message(HTTPStatus.NOT_FOUND, "there are /metrics and /healthz")
    return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if found[1] == b"HEAD" else answer


def _message(status: HTTPStatus, text: str | bytes) -> bytes:
    body = text.encode() if isinstance(text, str) else text
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {CONTENT_TYPE}\r\n"
        f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\n"
        "connection: close\r\n\r\n"
    ).encode() + body
