"""The pages: a handful of files of the package, read at start and served from memory.

They are served under a policy that lets them load nothing from anywhere else, compressed once, with
a tag by which a browser knows that it has them. They hold no data: what they show they fetch.
"""

from __future__ import annotations

import gzip
import hashlib
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.routing import Route

from ..frontend.error_page import HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_SHELL: Final = ("/", "/services/{path:path}/docs")


def routes() -> list[Route]:
    """Return the routes of all files below `/assets/`, and of the one page."""
    pages = resources.files(f"{__package__}.pages")
    shell = pages.joinpath("index.html").read_bytes()
    found = [Route(path, _serve(shell, "html")) for path in _SHELL]
    for path, file in _files(pages, ""):
        kind = path.rpartition(".")[2]
        if kind in _TYPES and kind != "html":
            found.append(Route(f"/assets/{path}", _serve(file.read_bytes(), kind)))
    icon = pages.joinpath("mark.svg").read_bytes()
    return [*found, Route("/favicon.ico", _serve(icon, "svg"))]


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for each in sorted(folder.iterdir(), key=lambda file: file.name):
        if each.is_dir():
            yield from _files(each, f"{prefix}{each.name}/")
        else:
            yield prefix + each.name, each


def _serve(content: bytes, kind: str) -> Callable[[Request], Any]:
    zipped = gzip.compress(content, 9)
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'

    async def page(request: Request) -> Response:
        headers = {**HEADERS, "etag": tag, "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(zipped, media_type=_TYPES[kind], headers=headers)
        return Response(content, media_type=_TYPES[kind], headers=headers)

    return page
