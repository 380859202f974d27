"""The processes of one served module without Redis: started, watched, replaced, stopped.

A LocalService keeps as many replicas as are wanted: one that ends unasked leaves the table at once
and comes back as `restart_policy` says, one that answers no pings and doesn't work either is
killed. It lives in the executor's event loop. What the processes load comes from a PackedTree; who
may call whom is the executor's business.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..command import CommandModule
from ..errors import ServeFailed
from ..processes.child import listen
from ..processes.forkserver import LoadFailed, ReplicaSpec, Template
from ..processes.restart_policy import RestartPolicy
from ..processes.scarcity import NoProcess
from .replica import LocalReplica

if TYPE_CHECKING:
    from ..server import ServerModule
    from ..tree import Tree

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
Table = Mapping[str, list[list[str]]]

MOST_FAILURES: Final = 3
"""How often in a row the health of a replica may fail until it is replaced."""
_PING_S: Final = 1.0
_DRAIN_S: Final = 5.0
# Of a replica that is replaced: nobody waits for its place.
_CALLS_S: Final = 300.0


class PackedTree:
    """One packed tree, what tasks have changed in it since, and the templates that have loaded it.

    `log` are the entries of those changes; a replica begins with all that are there, and follows.
    """

    def __init__(self, bare: Callable[[], Template], tree: Tree, definition: bytes) -> None:
        """Load nothing yet; `bare` returns a living bare template."""
        self.tree = tree
        self.log: list[bytes] = []
        self._bare, self._definition = bare, definition
        self._template: Template | None = None
        self._lock = asyncio.Lock()
        self._forks = True

    async def template(self) -> Template:
        """Return a template that can start one more replica; raises LoadFailed."""
        async with self._lock:
            template = self._template
            if template is not None and self._forks and not template.ended.done():
                return template
            template = self._bare().fork()
            try:
                self._forks = (await template.load(self._definition)).fork_safe
            except BaseException:
                template.close()
                raise
            self._template = template
            return template

    async def close(self) -> None:
        """End the template; return when nothing of it is left."""
        if self._template is not None:
            self._template.close()
            await self._template.ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a service's replicas come from: the tree that they load, its paths, its endpoints."""

    path: str
    generation: PackedTree
    call_key: bytes
    table: Callable[[], Table]


class LocalService:
    """One served module; `on_change` is called when its endpoints have changed."""

    def __init__(
        self, module: ServerModule | CommandModule, home: Home, on_change: Callable[[], None]
    ) -> None:
        """Start nothing yet."""
        self.module = module
        self.home = home
        self.ended = asyncio.Event()
        self._on_change = on_change
        self._ready: list[LocalReplica] = []
        self._living: set[LocalReplica] = set()
        # Those that say that they aren't well.
        self._withdrawn: set[LocalReplica] = set()
        self._restarts: set[asyncio.Task[None]] = set()
        self._policy = RestartPolicy(gives_up=False)
        self._is_stopping = False
        self._pinging = asyncio.create_task(self._ping())

    @property
    def endpoints(self) -> list[list[str]]:
        """URL, token and id of each ready replica."""
        return [replica.endpoint for replica in self._ready]

    def push(self) -> None:
        """Tell the replicas the endpoints that they may call now."""
        for replica in self._living:
            replica.child.send({"op": "routes", "table": self.home.table()})

    async def follow(self) -> None:
        """Send what was added to the log; return when all replicas that live have it."""
        living = list(self._living)
        for replica in living:
            replica.send_states(self.home.generation.log)
        await asyncio.gather(*(replica.until_applied() for replica in living))

    async def start(self) -> None:
        """Bring up what isn't up; raises ServeFailed, and leaves what was up before."""
        missing = self.module.first_replicas - len(self._ready) - len(self._withdrawn)
        self._ready += await self._launch_all(max(missing, 0))
        self._on_change()

    async def replace(self, home: Home) -> None:
        """Replace all replicas by ones from `home`; a fixed port has to be free for them first."""
        old, old_home, self.home = [*self._ready, *self._withdrawn], self.home, home
        if self.module.port is not None:
            self._ready = []
            self._withdrawn = set()
            self._on_change()
            await self._retire(old, _DRAIN_S)
        try:
            fresh = await self._launch_all(self.module.first_replicas)
        except BaseException:
            # What still runs, and what comes back, is of the old home.
            self.home = old_home
            raise
        # Whoever ended on its own meanwhile was counted as lost, and may have come back.
        old = [each for each in (*self._ready, *self._withdrawn) if each not in fresh]
        self._ready = fresh
        self._withdrawn = set()
        self._on_change()
        await self._retire(old, _CALLS_S)

    async def stop(self, drain_s: float = _DRAIN_S) -> None:
        """End all replicas, after the calls under way or `drain_s`; return when they are gone."""
        self._is_stopping = True
        self._pinging.cancel()
        for task in self._restarts:
            task.cancel()
        self._ready = []
        self._withdrawn = set()
        self._on_change()
        await self._retire(list(self._living), drain_s)
        self.ended.set()

    async def _launch_all(self, count: int) -> list[LocalReplica]:
        results = await asyncio.gather(
            *(self._launch() for _ in range(count)), return_exceptions=True
        )
        fresh = [result for result in results if isinstance(result, LocalReplica)]
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await self._retire(fresh, 0)
            raise failures[0]
        return fresh

    async def _launch(self) -> LocalReplica:
        """Start one replica and return it when it answers; raises ServeFailed."""
        timeout = self.module.startup_timeout
        try:
            async with asyncio.timeout(timeout):
                template = await self.home.generation.template()
        except TimeoutError:
            raise self._failed(f"its tree was not loaded within {timeout:g} s", "") from None
        except LoadFailed as error:
            tail = error.output_tail + error.error["traceback"]
            reason = f"its tree can't be loaded: {error.error['type']}: {error.error['message']}"
            raise self._failed(reason, tail) from None
        except NoProcess as error:
            raise self._failed(str(error), "") from None
        replica = self._start(template)
        self._living.add(replica)
        try:
            async with asyncio.timeout(timeout):
                await replica.ready()
        except TimeoutError:
            why = f": {replica.waits_for}" if replica.waits_for else ""
            reason = f"it was not ready within {timeout:g} s{why}"
            raise await self._given_up(replica, reason) from None
        except ServeFailed as error:
            raise await self._given_up(replica, error.reason) from None
        except BaseException:
            replica.kill()
            raise
        replica.is_serving = True
        replica.on_health = self._judge
        return replica

    def _start(self, template: Template) -> LocalReplica:
        module = self.module
        try:
            sock = listen(HOST, module.port)
        except OSError as error:
            reason = f"port {module.port} is taken ({error}); stop what has it, or leave out port"
            raise self._failed(reason, "") from error
        with sock:
            spec = ReplicaSpec(
                path=self.home.path,
                replica=secrets.token_hex(8),
                host=HOST,
                token=secrets.token_hex(16),
                call_key=self.home.call_key,
                startup_timeout=module.startup_timeout,
                call_timeout=module.call_timeout,
                env=module.env,
                states=tuple(self.home.generation.log),
                table=self.home.table(),
            )
            child = template.replica(f"{spec.path}:{spec.token[:6]}", spec, sock)
            return LocalReplica(child, spec, sock.getsockname()[1], self._lost)

    async def _given_up(self, replica: LocalReplica, reason: str) -> ServeFailed:
        replica.kill()
        await replica.gone.wait()
        return self._failed(reason, replica.tail())

    def _failed(self, reason: str, tail: str) -> ServeFailed:
        return ServeFailed(self.home.path, reason, tail)

    def _lost(self, replica: LocalReplica) -> None:
        """Take the end of a replica, asked for or not."""
        self._living.discard(replica)
        if replica in self._withdrawn:
            self._withdrawn.discard(replica)
        elif replica in self._ready:
            self._ready.remove(replica)
            self._on_change()
        else:
            return
        if self._is_stopping or replica.is_retired:
            return
        log.warning(
            "%s: %s; it is started again",
            self.home.path,
            replica.how_it_ended(),
            extra={"event": "replica.lost"},
        )
        pause_s = self._policy.failed(time.monotonic() - replica.started_at)
        task = asyncio.create_task(self._bring_back(pause_s))
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    def _judge(self, replica: LocalReplica) -> None:
        """Take what a replica says of its health: out at a failure, back, or ended after some."""
        if replica.failures >= MOST_FAILURES:
            replica.kill(f"{replica.ailment}, {replica.failures} times in a row; it was killed")
        elif replica.failures and replica in self._ready:
            log.warning(
                "%s: %s", self.home.path, replica.ailment, extra={"event": "replica.unready"}
            )
            self._ready.remove(replica)
            self._withdrawn.add(replica)
            self._on_change()
        elif not replica.failures and replica in self._withdrawn:
            self._withdrawn.discard(replica)
            self._ready.append(replica)
            self._on_change()

    async def _bring_back(self, pause_s: float | None) -> None:
        while pause_s is not None:
            await asyncio.sleep(pause_s)
            if len(self._ready) + len(self._withdrawn) >= self.module.first_replicas:
                return
            try:
                self._ready.append(await self._launch())
            except ServeFailed as error:
                log.warning("%s", error, extra={"event": "replica.lost"})
                pause_s = self._policy.failed(0.0)
            else:
                self._on_change()
                return

    async def _retire(self, replicas: list[LocalReplica], drain_s: float) -> None:
        if drain_s and isinstance(self.module, CommandModule):
            # It says itself how long its server may take to end.
            drain_s = max(drain_s, self.module.stop_timeout)
        await asyncio.gather(*(replica.retire(drain_s) for replica in replicas))

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(_PING_S)
            for replica in list(self._ready):
                if not replica.ping(self.module.ping_timeout):
                    log.warning(
                        "%s: it answered no ping for %g s, used no CPU meanwhile, and is killed",
                        self.home.path,
                        self.module.ping_timeout,
                        extra={"event": "replica.unready"},
                    )
                    replica.kill()
