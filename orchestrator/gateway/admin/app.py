"""The application for everything that isn't a call: API, pages, health, metrics, OpenAPI.

The pages are a handful of files of the package, read at start and served from memory under a policy
that lets them load nothing from anywhere else. They hold no data: what they show they fetch.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..meters import CONTENT_TYPE
from .api import EXPLAINED, Api, error_response, explained
from .fleet_metrics import fleet_lines
from .metrics import metrics_text
from .openapi import document

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from ...client.client import Client
    from ..frontend.server import Door

_PAGES: Final = {
    "/": ("dashboard.html", "text/html"),
    "/gateway.js": ("gateway.js", "text/javascript"),
    "/gateway.css": ("gateway.css", "text/css"),
    "/service.js": ("service.js", "text/javascript"),
    "/services/{path:path}/docs": ("service.html", "text/html"),
}
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def make_app(client: Client, door: Door) -> Starlette:
    """Return the application of one gateway."""
    api = Api(client, door.table, lambda: door.is_draining)
    told = document()

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
        text = metrics_text(door)
        if door.table.unreached_since is None:
            with contextlib.suppress(RedisError, OSError):
                lines = await asyncio.to_thread(fleet_lines, client.store)
                text += "\n".join(lines) + "\n"
        return Response(text, media_type=CONTENT_TYPE)

    async def openapi(request: Request) -> Response:
        del request
        return JSONResponse(told)

    pages = [Route(path, _page(*page)) for path, page in _PAGES.items()]
    own = [Route("/healthz", healthz), Route("/metrics", metrics), Route("/openapi.json", openapi)]
    handlers: dict[Any, Any] = dict.fromkeys(EXPLAINED, explained)
    handlers[HTTPException] = _refused
    app = Starlette(routes=[*own, *api.routes(), *pages], exception_handlers=handlers)
    # A path with a slash too many is another path.
    app.router.redirect_slashes = False
    return app


def _page(file: str, media_type: str) -> Callable[[Request], Any]:
    content = resources.files(f"{__package__}.pages").joinpath(file).read_bytes()

    async def page(request: Request) -> Response:
        del request
        return Response(content, media_type=media_type, headers=_HEADERS)

    return page


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {404: "NotFound", 405: "MethodNotAllowed"}.get(error.status_code, "BadRequest")
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    headers = dict(error.headers) if error.headers else None
    return error_response(error.status_code, kind, json.dumps(message)[1:-1], headers)
