"""Runs one gateway process: table, follower, door and application, until SIGTERM has drained it.

It has no state of its own: several may run, each with its own copy of the registry. With uvloop
installed the loop is uvloop's; everything works without.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from rootward.modules.rpc import tracing

from ..terminal import heeds_hangup
from .access import Access
from .admin.app import make_app
from .frontend.server import Door
from .limits import Limits
from .proxy.demand import HeldDemand
from .proxy.follower import Follower
from .proxy.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ..client.client import Client
    from .proxy.views import CanaryView, ServiceView

log = logging.getLogger(__name__)

_FIRST_READ_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What one gateway was told: where it listens, by which names it is known, its token."""

    host: str
    port: int
    token: str = field(repr=False)
    hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


def run(client: Client, plan: ServeOptions, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM, SIGINT or the end of the terminal; a second signal ends it at once.

    `on_ready` is given the URL once it listens. Raises OSError when the address can't be had, and
    MissingSecret or WrongSecret when there is none to check the registry with.
    """
    signer = client.signer
    client.check_secret()
    sock = _bind(plan.host, plan.port)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(client, plan, sock, signer, on_ready))


async def _serve(
    client: Client,
    plan: ServeOptions,
    sock: socket.socket,
    signer: Any,
    on_ready: Callable[[str], None],
) -> None:
    loop = asyncio.get_running_loop()
    table, demand = Table(), HeldDemand(client.store)
    table.on_held = demand.held
    door = Door(table, Access(plan.host, plan.token, plan.hosts), plan.limits)
    door.application = make_app(client, door)
    if (tracer := tracing.tracer("gateway")) is not None:
        from .proxy.tracing import traced_call_of

        door.make_call = partial(traced_call_of, tracer=tracer)
    read = asyncio.Event()

    def put(name: str, views: Sequence[ServiceView], canary: CanaryView | None) -> None:
        loop.call_soon_threadsafe(table.put, name, views, canary)

    def reached(is_reached: bool) -> None:
        loop.call_soon_threadsafe(table.reached, is_reached)
        loop.call_soon_threadsafe(read.set)

    def gone(replicas: Collection[str]) -> None:
        loop.call_soon_threadsafe(table.gone, replicas)

    follower = Follower(client.store, signer, put, reached, gone, table.counting)
    follower.start()
    reporting = loop.create_task(demand.run())
    try:
        # Before the first read every service is unknown: nobody is let in to be told so.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_READ_S):
                await read.wait()
        await door.open([sock])
        ended = _signals(loop)
        on_ready(_url(plan.host, sock))
        await ended.wait()
        log.info("answering what has begun, taking no more", extra={"event": "gateway.draining"})
        for each in (signal.SIGTERM, signal.SIGINT):
            # The second one doesn't wait.
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        await door.close()
    finally:
        reporting.cancel()
        await loop.run_in_executor(None, follower.close)


def _signals(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    ended = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, ended.set)
    if heeds_hangup():
        # It may be told twice: the second one ends nothing.
        loop.add_signal_handler(signal.SIGHUP, ended.set)
    return ended


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _url(host: str, sock: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{sock.getsockname()[1]}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
