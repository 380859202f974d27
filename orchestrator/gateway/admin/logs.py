"""The logs of a generation over HTTP: the last lines as JSON, or all that come as a stream.

Output is stored in pieces; here it is lines, each with its time and where it comes from. Reading
yields to the event loop by being done in threads, a page at a time.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from .answers import event_stream, zipped
from .requests import BadInput, is_event_id, whole_number

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from ...store.records import LogEntry
    from .api import Api

TAIL: Final = 500
MOST_LINES: Final = 5000
_BLOCK_MS: Final = 1000
_BEAT_S: Final = 1.5
_LONGEST_LINE: Final = 20_000


class LogRoutes:
    """The route of logs."""

    def __init__(self, api: Api, is_draining: Callable[[], bool]) -> None:
        self._api, self._is_draining = api, is_draining

    async def logs(self, request: Request) -> Response:
        """Return the last lines, or stream them and what comes: `tail`, `since`, `follow`.

        `module` is a path, and may be given again; `since` is Unix seconds, or the id of a line.
        """
        deployment = await self._api.deployment_of(request)
        place = (deployment.name, deployment.generation)
        modules = frozenset(request.query_params.getlist("module"))
        tail = whole_number(request, "tail", TAIL, 0, MOST_LINES)
        after = _since(request.query_params.get("since", ""))
        if request.query_params.get("follow") in {"1", "true"}:
            after = request.headers.get("last-event-id") or after
            return event_stream(self._follow(place, modules, _checked(after), tail))
        lines, last = await self._tail(place, modules, after, tail)
        document = {"lines": lines, "last": last, "now": time.time()}
        return zipped(request, json.dumps(document).encode())

    async def _tail(
        self, place: tuple[str, int], modules: frozenset[str], after: str, tail: int
    ) -> tuple[list[dict[str, Any]], str]:
        lines: deque[dict[str, Any]] = deque(maxlen=tail)
        while True:
            page = await self._page(place, after)
            for entry in page:
                # Where to go on is known also of what is another module's.
                after = entry.id
                if not modules or entry.path in modules:
                    lines.extend(lines_of(entry))
            if not page:
                return list(lines), after

    async def _follow(
        self, place: tuple[str, int], modules: frozenset[str], after: str, tail: int
    ) -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        lines, after = await self._tail(place, modules, after, tail)
        yield _event(after, lines)
        quiet_since = time.monotonic()
        while not self._is_draining():
            try:
                page = await self._next(place, after)
            except (RedisError, OSError):
                await asyncio.sleep(_BLOCK_MS / 1000)
                page = []
            if page:
                after = page[-1].id
            chosen = [entry for entry in page if not modules or entry.path in modules]
            if chosen:
                yield _event(after, [line for entry in chosen for line in lines_of(entry)])
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= _BEAT_S:
                quiet_since = time.monotonic()
                yield f'event: beat\ndata: {{"now": {time.time():.3f}}}\n\n'

    async def _page(self, place: tuple[str, int], after: str) -> list[LogEntry]:
        return await self._api.read(lambda: self._api.store.history.logs(*place, after))

    async def _next(self, place: tuple[str, int], after: str) -> list[LogEntry]:
        return await self._api.wait_for(
            lambda: self._api.store.history.logs(*place, after, block_ms=_BLOCK_MS)
        )


def lines_of(entry: LogEntry) -> list[dict[str, Any]]:
    """Return the lines of a piece of output; of a line that was drawn over, what stands at last."""
    told = {
        "id": entry.id,
        "at": entry.at,
        "module": entry.path,
        "task": entry.task,
        "attempt": entry.attempt,
        "replica": entry.replica,
        "fd": entry.fd,
    }
    source = {key: value for key, value in told.items() if value is not None}
    texts = entry.text.replace("\r\n", "\n").rstrip("\n").split("\n")
    return [
        {**source, "text": text.rstrip("\r").rpartition("\r")[2][:_LONGEST_LINE]} for text in texts
    ]


def _event(after: str, lines: list[dict[str, Any]]) -> str:
    data = json.dumps({"lines": lines, "now": time.time()})
    return f"id: {after}\nevent: lines\ndata: {data}\n\n"


def _since(text: str) -> str:
    """Return the id of a line, or the one before a Unix time."""
    if not text:
        return "0-0"
    if "-" in text:
        return _checked(text)
    try:
        ms = int(float(text) * 1000)
    except (ValueError, OverflowError):
        ms = -1
    if not 0 <= ms < 10**15:
        raise BadInput("since must be Unix seconds, or the id of a line")
    return f"{ms}-0"


def _checked(text: str) -> str:
    if not is_event_id(text):
        raise BadInput("since must be Unix seconds, or the id of a line")
    return text
