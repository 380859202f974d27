"""The agent: what a program or the command line starts to have tasks run on this machine.

It owns the loop, the signals and the life cycle; what happens while it is joined is the shift's.
`run` works in the calling thread until it is stopped, `start` in a thread of its own. Stopping
twice, or before the start, is harmless. An agent needs the secret: it runs nothing unsigned.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rootward.modules.rpc import tracing
from rootward.orchestrator.errors import MissingSecret, NoRedis, other_secret
from rootward.orchestrator.security.signing import Signer
from rootward.orchestrator.settings import Settings
from rootward.orchestrator.store.connection import Clients, check
from rootward.orchestrator.store.keys import Keys
from rootward.orchestrator.store.store import Store
from rootward.orchestrator.terminal import heeds_hangup

from ..devices.offers import pools_given
from ..work.identity import Identity, checked_name
from .metrics_server import exposed
from .session import AgentSession

if TYPE_CHECKING:
    from rootward.orchestrator.store.records import AgentRecord

logger = logging.getLogger(__name__)

DEADLINE_S = 9.0
TASKS_SHARE = 0.6


class Agent:
    """Runs tasks in `slots` processes and keeps replicas alive.

    `url` is Redis's (default `REDIS_URL`), `resources` what it offers beside slots (an amount, the
    names of devices, or "auto"), `queues` what it takes from instead of the plain queue. Everything
    else comes from `settings`, by default the environment. Raises NoRedis without an address,
    MissingSecret without a secret, BadWorkerName, BadResource.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        slots: int = 4,
        name: str | None = None,
        resources: Mapping[str, float | str | Sequence[str]] | None = None,
        queues: Sequence[str] | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Check what was given; nothing is connected or started."""
        settings = settings or Settings.from_environment()
        self._settings = settings = settings if url is None else replace(settings, redis_url=url)
        if slots < 1:
            raise ValueError(f"slots={slots}: a worker needs at least one")
        if settings.redis_url is None:
            raise NoRedis("no Redis is given: set REDIS_URL; `rootward up` brings its own")
        if settings.secret is None:
            raise MissingSecret(
                "a worker runs nothing that isn't signed, and there is no secret to check with: "
                "set ROOTWARD_SECRET to the same value for workers and clients; "
                "make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
            )
        self._url, self._secret = settings.redis_url, settings.secret
        self._identity = Identity(
            prefix=settings.prefix,
            name=checked_name(name),
            host=settings.host,
            slots=slots,
            queues=tuple(queues or ()),
            pools=pools_given(resources or {}),
        )
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shift: AgentSession | None = None
        self._error: BaseException | None = None
        self._is_stopped = self._is_quiet = False
        self._tasks_s, self._calls_s = settings.task_drain_seconds, settings.drain_seconds
        self._joined = threading.Event()
        self._ended = threading.Event()
        self._ended.set()

    @property
    def name(self) -> str:
        """The worker's name as people see it."""
        return self._identity.name

    def start(self) -> None:
        """Work in a thread; returns when the agent has joined. Starting twice is harmless.

        Raises NoRedis within a second when Redis isn't reached.
        """
        with self._lock:
            if self._thread is not None or self._is_stopped:
                return
            check(self._url)
            self._ended.clear()
            self._thread = threading.Thread(
                target=self._run_in_thread, name="rootward-agent", daemon=True
            )
            self._thread.start()
        self._joined.wait()
        if self._error is not None:
            raise self._error

    def run(self, *, burst: bool = False) -> bool:
        """Work here until SIGTERM, SIGINT or `stop`; with `burst` until nothing is left to do.

        Returns whether it drained: False when a second signal, or a deadline, ended it at once.
        Raises NoRedis within a second when Redis isn't reached, WrongSecret when the workers that
        live there have another secret.
        """
        if self._is_stopped:
            return True
        check(self._url)
        self._ended.clear()
        try:
            return asyncio.run(self._main(burst=burst, signals=True))
        finally:
            self._joined.set()
            self._ended.set()

    def quiet(self) -> None:
        """Take no more tasks; what runs goes on, and replicas stay. Can't be undone."""
        self._is_quiet = True
        self._on_loop(lambda shift: shift.quiet())

    def stop(self, deadline: float = DEADLINE_S) -> None:
        """Drain and leave within `deadline` seconds; returns when all has ended."""
        self._is_stopped = True
        self._tasks_s = TASKS_SHARE * deadline
        self._calls_s = deadline - self._tasks_s
        self._on_loop(lambda shift: shift.stop_asked.set())
        if threading.current_thread() is not self._thread:
            self._ended.wait()

    def _on_loop(self, call: Callable[[AgentSession], None]) -> None:
        loop, shift = self._loop, self._shift
        if loop is not None and shift is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(call, shift)

    def _run_in_thread(self) -> None:
        try:
            asyncio.run(self._main(burst=False, signals=False))
        except BaseException as error:
            self._error = error
        finally:
            self._joined.set()
            self._ended.set()

    async def _main(self, *, burst: bool, signals: bool) -> bool:
        clients = Clients(self._url, name=f"rootward-{self.name}")
        store = Store(clients, Keys(prefix=self._settings.prefix))
        signer = Signer(self._secret.reveal(), prefix=self._settings.prefix)
        mine = signer.fingerprints(self._settings.prefix)
        if store.agents.agree(mine[0]) not in mine:
            clients.close()
            raise other_secret(clients.address)
        _warn_of_twin(store.agents.all(), self.name)
        shift = AgentSession(self._identity, self._settings, store, signer, burst=burst)
        self._loop, self._shift = asyncio.get_running_loop(), shift
        if self._is_quiet:
            shift.quiet()
        if self._is_stopped:
            shift.stop_asked.set()
        try:
            async with self._watched(shift):
                work = asyncio.ensure_future(shift.work(lambda: (self._tasks_s, self._calls_s)))
                joined = asyncio.ensure_future(shift.joined.wait())
                joined.add_done_callback(lambda _: self._joined.set())
                try:
                    with _signals(shift, work) if signals else contextlib.nullcontext():
                        return await _outcome(work)
                finally:
                    joined.cancel()
        finally:
            self._loop = self._shift = None
            clients.close()

    @contextlib.asynccontextmanager
    async def _watched(self, shift: AgentSession) -> AsyncIterator[None]:
        """Have the work counted and told, if that was asked for."""
        settings = self._settings
        if (tracer := tracing.tracer("worker")) is not None:
            from ..work.tracing import TracedTasks

            shift.watches.append(TracedTasks(tracer, self.name).watch)
        if settings.metrics_port is None:
            yield
            return
        shift.watches.append(shift.account.watch)
        async with exposed(settings.metrics_host, settings.metrics_port, shift.account.text):
            yield


def _warn_of_twin(agents: Sequence[AgentRecord], name: str) -> None:
    """Tell of another worker of that name: whoever looks could not tell the two apart."""
    for twin in agents:
        if twin.name == name and twin.lease_ms > 0:
            logger.warning(
                "another live worker is called %s, too (process %d at %s): give each a name of its "
                "own with --name; if that one has just died, it is forgotten in %.0f s",
                name,
                twin.info.pid,
                twin.info.host,
                twin.lease_ms / 1000,
                extra={"event": "agent.twin"},
            )


async def _outcome(work: asyncio.Future[None]) -> bool:
    """Wait for the work; whether it ended by itself, and not because it was told to end at once."""
    try:
        await work
    except asyncio.CancelledError:
        return False
    return True


@contextlib.contextmanager
def _signals(shift: AgentSession, work: asyncio.Future[None]) -> Iterator[None]:
    """Let the first SIGTERM or SIGINT drain, and the second end all at once.

    A closed terminal drains too, unless that is to be ignored; it may be told more than once.
    """
    loop = asyncio.get_running_loop()

    def ask() -> None:
        if shift.stop_asked.is_set():
            work.cancel()
        shift.stop_asked.set()

    numbers = [signal.SIGTERM, signal.SIGINT]
    for number in numbers:
        loop.add_signal_handler(number, ask)
    if heeds_hangup():
        numbers.append(signal.SIGHUP)
        loop.add_signal_handler(signal.SIGHUP, shift.stop_asked.set)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
