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
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from rootward.modules.rpc import tracing
from rootward.modules.state import state_log
from rootward.modules.state.exceptions import describe
from rootward.modules.tasks import finish

from ..serving.call import CallRunner, is_async
from ..serving.metrics import LoadReports, Metrics
from ..serving.parameters import Parameters
from ..serving.raised import PERIOD_S, RaisedErrors
from ..serving.router import ReplicaApp
from ..serving.server import Listener
from .execution import flush
from .health import HealthRounds, checks_of
from .parent_watch import ParentWatch, tell_held

if TYPE_CHECKING:
    from rootward.modules.processes.channel import Channel, Message
    from rootward.modules.rpc.endpoints import PushedRoutes
    from rootward.modules.server import ServerModule
    from rootward.modules.tree import Tree


def run(
    tree: Tree,
    routes: PushedRoutes,
    spec: dict[str, Any],
    channel: Channel,
    sock: socket.socket,
    kind: type[LoadedReplica],
) -> None:
    """Serve what `spec` (a ReplicaSpec's fields) says behind the bound socket, then exit."""
    replica = kind(tree, channel, spec["path"])
    try:
        os.environ.update(spec["env"])
        routes.key = spec["call_key"]
        routes.on_held = partial(tell_held, channel)
        routes.update(spec["table"])
        replica.apply(spec["states"])
        guard = ParentWatch(channel, routes, replica.hear, replica.vitals)
        guard.start()
        replica.set_up()
        with asyncio.Runner(loop_factory=quick_loop()) as runner:
            runner.run(replica.serve(spec, sock, guard))
    except BaseException as error:
        channel.send({"event": "failed", "error": describe(error)})
        raise SystemExit(1) from error
    finally:
        flush()
    # The pool's threads may still run calls that outlasted the drain; they are not waited for.
    atexit._run_exitfuncs()
    flush()
    os._exit(0)


class LoadedReplica:
    """A module of a loaded tree in the process of one replica, and what its owner says to it."""

    def __init__(self, tree: Tree, channel: Channel, path: str) -> None:
        """Set nothing up yet."""
        self._tree, self._channel, self._path = tree, channel, path
        self._early: deque[Message] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, spec: dict[str, Any], sock: socket.socket, guard: ParentWatch) -> None:
        """Serve behind the bound socket, say so, and return when the drain has ended."""
        raise NotImplementedError

    def hear(self, message: Message) -> None:
        """Take a message from the guard's thread; what comes before `serve` waits."""
        self._early.append(message)
        # `serve` may have begun in between: then the loop takes it with the others.
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._obey_early)

    def vitals(self) -> dict[str, float]:
        """Return what the answer to a ping says beside that; called by the guard's thread."""
        return {}

    def apply(self, entries: list[bytes]) -> None:
        """Write states into the tree."""
        for entry in entries:
            state_log.apply(self._tree, entry)

    def set_up(self) -> None:
        """Run `setup()` of all that is loaded here, children first."""
        self._obey_early()
        for path in self._tree.loaded_by(self._path):
            setup: Callable[[], Any] = self._tree.module_at(path).setup
            finish(setup())

    def _obey_early(self) -> None:
        while self._early:
            self._obey(self._early.popleft())

    def _obey(self, message: Message) -> None:
        match message["op"]:
            case "states":
                self._apply_now(message["states"])
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
        """Take nothing new, and end after the calls or in `grace` seconds."""
        raise NotImplementedError


class ServingProcess(LoadedReplica):
    """One served module of a loaded tree, in this process."""

    def __init__(self, tree: Tree, channel: Channel, path: str) -> None:
        """Set nothing up yet."""
        super().__init__(tree, channel, path)
        self._listener: Listener | None = None
        # Since when the loop has been asked for a sign of life; None while it has given it.
        self._loop_asked_at: float | None = None

    def vitals(self) -> dict[str, float]:
        """Return for how long (seconds) the loop has been blocked, and the oldest call under way.

        What isn't so is left out.
        """
        told: dict[str, float] = {}
        loop, listener = self._loop, self._listener
        if loop is None or listener is None:
            return told
        if self._loop_asked_at is None:
            self._loop_asked_at = time.monotonic()
            loop.call_soon_threadsafe(self._loop_lives)
        else:
            told["loop_s"] = time.monotonic() - self._loop_asked_at
        if (oldest_s := listener.serving.oldest_s) is not None:
            told["call_s"] = oldest_s
        return told

    def _loop_lives(self) -> None:
        self._loop_asked_at = None

    async def serve(self, spec: dict[str, Any], sock: socket.socket, guard: ParentWatch) -> None:
        """Listen, say so, and serve until the drain has ended."""
        module: ServerModule = self._tree.module_at(self._path)  # type: ignore[assignment]
        metrics, parameters = Metrics(self._path), Parameters.of(_first(module))
        target, is_quick = self._target(module, spec.get("call_timeout"))
        serving = CallRunner(
            target,
            parameters,
            metrics,
            concurrency=spec["concurrency"],
            is_async=is_quick,
            call_timeout=spec.get("call_timeout"),
        )
        serving.on_overdue = self._end_overdue
        raised = RaisedErrors(self._log_error)
        serving.on_raised = raised.note
        if (tracer := tracing.tracer("replica")) is not None:
            from ..serving.tracing import TracedModuleCall

            serving.make_call = partial(TracedModuleCall, tracer=tracer, path=self._path)
        app = ReplicaApp(
            metrics,
            host=spec["host"],
            token=spec["token"],
            call_key=spec["call_key"],
            call_token=spec["call_token"],
            guard=guard,
        )
        app.describe = partial(_document, parameters, module, self._path)
        self._listener = listener = Listener(app, serving)
        serving.on_begin = LoadReports(metrics, listener.loop, self._tell_load).began
        listener.on_calls = lambda count: self._channel.send({"event": "calls", "count": count})
        await listener.open(sock)
        self._loop = listener.loop
        self._obey_early()
        self._channel.send({"event": "ready"})
        checks = checks_of(self._tree, self._path)
        besides = [
            asyncio.create_task(_sum_up(raised)),
            asyncio.create_task(HealthRounds(checks, self._channel.send).run()),
        ]
        try:
            await listener.ended()
        finally:
            for task in besides:
                task.cancel()

    def _target(
        self, module: ServerModule, limit_s: float | None
    ) -> tuple[Callable[..., Any], bool]:
        """Return what calls run, and whether that never blocks the loop."""
        if module.max_batch is not None:
            from rootward.modules.calling.batching import BatchRunner

            return BatchRunner(module, limit_s=limit_s, on_overdue=self._end_overdue).answer, True
        forward = getattr(module.m, "forward", module.m)
        return module.answer, module.pre is None and is_async(forward)

    def _log_error(self, text: str) -> None:
        self._channel.send({"event": "error", "text": text})

    def _tell_load(self, calls: float) -> None:
        self._channel.send({"event": "load", "calls": calls})

    def _end_overdue(self, reason: str) -> None:
        """End the process: what a thread runs can't be ended by itself."""
        self._channel.send({"event": "ending", "reason": reason})
        flush()
        os._exit(1)

    def _drain(self, grace: float) -> None:
        if self._listener is None:
            # Told to end before it serves: nothing is under way.
            flush()
            os._exit(0)
        self._listener.drain(grace)


async def _sum_up(raised: RaisedErrors) -> None:
    """Say now and then how many errors weren't logged one by one."""
    while True:
        await asyncio.sleep(PERIOD_S)
        raised.sum_up()


def quick_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the quickest event loop that is installed; None for the usual one."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _first(module: ServerModule) -> Any:
    """Return the function that gets the arguments of a call."""
    return module.pre or getattr(module.m, "forward", module.m)


def _document(parameters: Parameters | None, module: ServerModule, path: str) -> bytes:
    """Return what the module takes, as OpenAPI; made when somebody asks."""
    import inspect
    import json

    from ..serving.openapi import document

    meaning, has_post = inspect.getdoc(_first(module)), module.post is not None
    described = document(path, parameters, meaning, has_post=has_post)
    return json.dumps(described, default=str).encode()
