"""Answers of the API: streams of server-sent events, and JSON that may be compressed."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from starlette.responses import Response, StreamingResponse

if TYPE_CHECKING:
    from starlette.requests import Request

_ZIPPED_ABOVE: Final = 1400


def event_stream(told: AsyncIterator[str]) -> Response:
    """Return an answer of server-sent events; a reader that goes away ends it without a word."""
    return StreamingResponse(
        told,
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


def zipped(request: Request, body: bytes, headers: dict[str, str] | None = None) -> Response:
    """Return JSON, compressed when it is long and the reader takes that."""
    told = {"cache-control": "no-cache", "vary": "accept-encoding", **(headers or {})}
    if len(body) > _ZIPPED_ABOVE and "gzip" in request.headers.get("accept-encoding", ""):
        body, told["content-encoding"] = gzip.compress(body, 5), "gzip"
    return Response(body, media_type="application/json", headers=told)
