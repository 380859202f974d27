"""The routes that a served class adds with lazyllm's `FastapiApp`: a web server in the replica.

It starts when somebody first asks for its address, on the host that the asker has reached the
replica by, and ends with the replica's process. lazyllm's own `/generate` isn't among its routes:
that takes pickles from anyone.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lazyllm import FastapiApp

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVICES: Final = "__relay_services__"
_starting: Final = threading.Lock()
_servers: dict[tuple[int, str], str] = {}


class AskRoutes:
    """The question of a handle for the address of the routes, on the host that it reaches."""

    __slots__ = ("host",)

    def __init__(self, host: str) -> None:
        self.host = host


def has_routes(served: Any) -> bool:
    """Whether the class of what is served has routes of its own."""
    return any(True for _ in _routes(served))


def host_of(url: str) -> str:
    """Return the host of a URL, without brackets."""
    return urlsplit(url).hostname or "127.0.0.1"


def at_host(url: str, host: str) -> str:
    """Return a URL with another host, its port and path kept."""
    parts = urlsplit(url)
    name = f"[{host}]" if ":" in host else host
    return parts._replace(netloc=name if parts.port is None else f"{name}:{parts.port}").geturl()


def routes_url(served: Any, host: str) -> str:
    """Return the address of the routes in lazyllm's form, ending in `/generate`; serve them first.

    Raises OSError when nothing can listen on the host.
    """
    with _starting:
        known = _servers.get((id(served), host))
        if known is None:
            known = _servers[id(served), host] = _serve(served, host)
        return known


def _serve(served: Any, host: str) -> str:
    import uvicorn

    listening = socket.create_server(
        (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
    )
    server = uvicorn.Server(uvicorn.Config(_app(served), log_level="warning"))
    threading.Thread(
        target=server.run, kwargs={"sockets": [listening]}, name="routes", daemon=True
    ).start()
    return at_host(f"http://host:{listening.getsockname()[1]}/generate", host)


def _app(served: Any) -> Any:
    import fastapi

    app = fastapi.FastAPI()
    for method, path, name, options in _routes(served):
        getattr(app, method)(path, **options)(getattr(served, name))
    if hasattr(FastapiApp, "_prepare_openapi"):
        FastapiApp._prepare_openapi(app)
    return app


def _routes(served: Any) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield the HTTP method, path, function's name and options of each route."""
    # What was decorated since is given to its classes.
    FastapiApp.update()
    for cls in type(served).__mro__:
        for (method, path), (name, options) in vars(cls).get(_SERVICES, {}).items():
            # A method that a subclass has defined anew without a route has none.
            if getattr(type(served), name) is getattr(cls, name):
                yield method, path, name, options
