"""What the serving benchmarks serve: an echo, and trees of modules with a slow setup or none.

Beside them stands the bare server that they are compared with, a uvicorn around the smallest
application:

    python served.py PORT [starlette]

With `starlette` it is a Starlette application with an endpoint that is a coroutine (`/async`) and
one that runs in Starlette's threads (`/def`), both of which read and write the same JSON as ours.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from functools import partial

import bare

from rootward.modules import ModuleBase, ServerModule, parallel


class Echo(ModuleBase):
    """Returns what it is given."""

    def forward(self, value: object) -> object:
        return value


class AsyncEcho(ModuleBase):
    """Returns what it is given, from a coroutine."""

    async def forward(self, value: object) -> object:
        return value


class Slow(ModuleBase):
    """Loads for `seconds`, then adds up what its children count."""

    def __init__(self, seconds: float, children: list[ModuleBase]) -> None:
        super().__init__()
        self.seconds, self.below = seconds, children

    def setup(self) -> None:
        time.sleep(self.seconds)

    def forward(self, value: int) -> int:
        return value + sum(child(value) for child in self.below)


class Adding(ModuleBase):
    """Adds what its children count, all of which are called at once."""

    def __init__(self, children: list[ModuleBase]) -> None:
        super().__init__()
        self.below = parallel(*children).sum if children else None

    def forward(self, value: int) -> int:
        return value + (self.below(value) if self.below is not None else 0)


class Learner(ModuleBase):
    """Learns a version for `seconds`; answers it when all below it have learnt the same."""

    def __init__(self, version: int, seconds: float, below: ModuleBase | None) -> None:
        super().__init__()
        self.version, self.seconds, self.below = version, seconds, below
        self.learnt = 0

    def _get_train_tasks(self) -> object:
        return self.learn

    def learn(self) -> None:
        time.sleep(self.seconds)
        self.learnt = self.version

    def forward(self, value: int) -> int:
        same = self.below is None or self.below(value) == self.learnt
        return self.learnt if same else -1


def trained(version: int, seconds: float) -> ModuleBase:
    """Return a chain of 3 served modules, each trained for `seconds`."""
    below: ModuleBase | None = None
    for _ in range(3):
        below = ServerModule(Learner(version, seconds, below))
    assert below is not None
    return below


class Group(ModuleBase):
    """Holds served modules and serves nothing itself."""

    def __init__(self, children: list[ModuleBase]) -> None:
        super().__init__()
        self.below = children


def tree(shape: str, seconds: float) -> ModuleBase:
    """Return the served tree called `wide`, `chain` or `tree`."""

    def served(*below: ModuleBase) -> ModuleBase:
        return ServerModule(Slow(seconds, list(below)))

    if shape == "wide":
        return Group([served() for _ in range(8)])
    if shape == "chain":
        return served(served(served(served())))
    return served(served(served(), served()), served(served(), served()))


def adding_tree(depth: int = 3) -> ModuleBase:
    """Return a binary tree of served modules that call their children at once."""
    below = [adding_tree(depth - 1) for _ in range(2)] if depth > 1 else []
    return ServerModule(Adding(below))


async def echo(scope, receive, send) -> None:  # noqa: ANN001  # as ASGI has it
    """Answer every request with its own body."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def bare_servers(count: int, kind: str = "bare") -> Iterator[list[int]]:
    """Start bare servers together; yields their ports when all of them answer."""
    ports = bare.free_ports(count)
    with bare.running([[sys.executable, __file__, str(port), kind] for port in ports]):
        for port in ports:
            bare.await_answer(partial(_get, port), not_yet=OSError, pause_s=0.003)
        yield ports


def _get(port: int) -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()


def starlette_app() -> object:
    """Return an application with the same echo twice: as a coroutine, and in a thread."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def echoed(value: object) -> object:
        return value

    async def in_loop(request: Request) -> Response:
        given = await request.json()
        return JSONResponse({"result": echoed(*given["args"])})

    async def in_thread(request: Request) -> Response:
        given = await request.json()
        return JSONResponse({"result": await run_in_threadpool(echoed, *given["args"])})

    async def alive(request: Request) -> Response:
        del request
        return Response()

    return Starlette(
        routes=[
            Route("/", alive),
            Route("/async", in_loop, methods=["POST"]),
            Route("/def", in_thread, methods=["POST"]),
        ]
    )


if __name__ == "__main__":
    import uvicorn

    os.environ.pop("REDIS_URL", None)
    app = starlette_app() if "starlette" in sys.argv else echo
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", lifespan="off", access_log=False)
