"""The application for everything that isn't a call: API, pages, health, metrics, OpenAPI.

What needs reading from Redis is read in threads or by the feed's loop; nothing here keeps a call
waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ...metrics.exposition import CONTENT_TYPE, Exposition, Families
from ..frontend.error_page import HEADERS, error_page, wants_page
from ..live.feed import Feed
from ..live.measured import measured
from ..live.reader import FleetReader
from . import assets
from .api import EXPLAINED, Api, explained
from .fleet_metrics import Fleet
from .live_api import LiveApi
from .metrics import collect
from .openapi import document
from .requests import error_response

if TYPE_CHECKING:
    from starlette.requests import Request

    from ...client.client import Client
    from ..frontend.server import Door


def make_app(client: Client, door: Door) -> Starlette:
    """Return the application of one gateway."""
    api = Api(client, door.table, lambda: door.is_draining)
    told = document()
    page, fleet, asking = Exposition(), Fleet(client.store), asyncio.Lock()

    async def healthz(request: Request) -> Response:
        del request
        stale_s = door.table.stale_s
        status = "draining" if door.is_draining else "ok" if door.table.is_complete else "starting"
        answer: dict[str, Any] = {
            "status": status,
            "services": len(door.table),
            "registry": "followed" if stale_s is None else "unreached",
            "stale_s": None if stale_s is None else round(stale_s, 1),
        }
        return JSONResponse(answer, 200 if status == "ok" else 503)

    async def metrics(request: Request) -> Response:
        del request
        async with asking:
            families = Families()
            collect(door, families)
            if door.table.unreached_since is None:
                with contextlib.suppress(RedisError, OSError):
                    await asyncio.to_thread(fleet.read)
                    fleet.collect(families)
            return Response(page.text(families), media_type=CONTENT_TYPE)

    async def openapi(request: Request) -> Response:
        del request
        return JSONResponse(told)

    feed = Feed(FleetReader(client.store, client.signer), lambda: measured(door.table))
    feed.start()
    live = LiveApi(feed, api, door)
    own = [Route("/healthz", healthz), Route("/metrics", metrics), Route("/openapi.json", openapi)]
    handlers: dict[Any, Any] = dict.fromkeys(EXPLAINED, explained)
    handlers[HTTPException] = _refused
    every = [*own, *live.routes(), *api.routes(), *assets.routes()]
    app = Starlette(routes=every, exception_handlers=handlers)
    # A path with a slash too many is another path.
    app.router.redirect_slashes = False
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if wants_page(request.method, request.headers.get("accept", "").lower()):
        page = error_page(error.status_code, f"{request.url.path[:200]}: {error.detail}")
        return Response(page, error.status_code, HEADERS, "text/html")
    kind = {404: "NotFound", 405: "MethodNotAllowed"}.get(error.status_code, "BadRequest")
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    headers = dict(error.headers) if error.headers else None
    return error_response(error.status_code, kind, json.dumps(message)[1:-1], headers)
