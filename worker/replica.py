"""The process of one replica: it loads, sets up and serves one module until its owner lets it go.

Order: apply the states, run `setup()` of every module that it loads, children first, then listen
and say `ready`. Whatever raises before that is told as `failed`, with the user's own traceback, and
ends the process. What the owner says afterwards (states, endpoints, ping, drain) is obeyed while it
serves.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn

from modules import state
from modules.envelope import describe
from modules.tasks import finish

from .app import ReplicaApp
from .execution import flush
from .guard import Guard
from .metrics import Metrics
from .serving import Serving

if TYPE_CHECKING:
    from modules.routes import PushedRoutes
    from modules.server import ServerModule
    from modules.tree import Tree
    from modules.wire import Channel, Message

# Above the callers' own limit for idle connections, so that it is they who close them.
_KEEP_ALIVE_S = 75
_GRACE_S = 10


def run(
    tree: Tree,
    routes: PushedRoutes,
    spec: dict[str, Any],
    channel: Channel,
    sock: socket.socket,
) -> None:
    """Serve what `spec` (a ReplicaSpec's fields) says behind the bound socket, then exit."""
    replica = Replica(tree, channel, spec["path"])
    try:
        os.environ.update(spec["env"])
        routes.key = spec["call_key"]
        routes.update(spec["table"])
        replica.apply(spec["states"])
        guard = Guard(channel, routes, replica.hear)
        guard.start()
        replica.set_up()
        asyncio.run(replica.serve(spec, sock, guard))
    except BaseException as error:
        channel.send({"event": "failed", "error": describe(error)})
        raise SystemExit(1) from error
    finally:
        flush()
    # The pool's threads may still run calls that outlasted the drain; they are not waited for.
    atexit._run_exitfuncs()
    flush()
    os._exit(0)


class Replica:
    """One served module of a loaded tree, in this process."""

    def __init__(self, tree: Tree, channel: Channel, path: str) -> None:
        """Set nothing up yet."""
        self._tree, self._channel, self._path = tree, channel, path
        self._early: deque[Message] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._app: ReplicaApp | None = None

    def hear(self, message: Message) -> None:
        """Take a message from the guard's thread; what comes before `serve` waits."""
        self._early.append(message)
        # `serve` may have begun in between: then the loop takes it with the others.
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._obey_early)

    def apply(self, entries: list[bytes]) -> None:
        """Write states into the tree."""
        for entry in entries:
            state.apply(self._tree, entry)

    def set_up(self) -> None:
        """Run `setup()` of all that is loaded here, children first."""
        self._obey_early()
        for path in self._tree.loaded_by(self._path):
            setup: Callable[[], Any] = self._tree.module_at(path).setup
            finish(setup())

    async def serve(self, spec: dict[str, Any], sock: socket.socket, guard: Guard) -> None:
        """Listen, say so, and serve until the drain has ended."""
        module: ServerModule = self._tree.module_at(self._path)  # type: ignore[assignment]
        serving = Serving(
            module.answer, _signature(module), Metrics(self._path), spec["concurrency"]
        )
        self._app = ReplicaApp(
            serving,
            host=spec["host"],
            token=spec["token"],
            call_key=spec["call_key"],
            call_token=spec["call_token"],
            guard=guard,
        )
        self._app.describe = partial(_document, module, self._path)
        config = uvicorn.Config(
            self._app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=2048,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
        self._server = _Server(config, self._listening)
        self._loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[sock])

    def _listening(self) -> None:
        self._obey_early()
        self._channel.send({"event": "ready"})

    def _obey_early(self) -> None:
        while self._early:
            self._obey(self._early.popleft())

    def _obey(self, message: Message) -> None:
        match message["op"]:
            case "states":
                self._apply_now(message["states"])
            case "ping":
                self._channel.send({"event": "pong", "n": message["n"]})
            case "drain":
                self._drain(message["grace"])

    def _apply_now(self, entries: list[bytes]) -> None:
        try:
            self.apply(entries)
        except BaseException as error:
            # Half a state must not serve.
            self._channel.send({"event": "failed", "error": describe(error)})
            flush()
            os._exit(1)
        self._channel.send({"event": "states_applied"})

    def _drain(self, grace: float) -> None:
        if self._server is None or self._app is None:
            # Told to end before it serves: nothing is under way.
            flush()
            os._exit(0)
        self._app.is_draining = True
        self._server.config.timeout_graceful_shutdown = max(int(grace), 1)
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()


def _signature(module: ServerModule) -> Any:
    """Return what the arguments of a plain call must fit, or None when nobody can tell."""
    import inspect

    first = module.pre or getattr(module.m, "forward", module.m)
    try:
        return inspect.signature(first)
    except (TypeError, ValueError):
        return None


def _document(module: ServerModule, path: str) -> bytes:
    """Return what the module takes, as OpenAPI; made when somebody asks."""
    import inspect
    import json

    from .openapi import document

    first = module.pre or getattr(module.m, "forward", module.m)
    told = document(path, _signature(module), inspect.getdoc(first))
    return json.dumps(told, default=str).encode()
