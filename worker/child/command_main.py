"""The process that keeps one replica of a foreign server: it starts the command and serves nothing.

It is the replica's process for everyone else: it loads the module, applies its states, runs
`setup()`, and dies with its owner. The command is its child, listens on a port of its own and
prints to the replica's log. When the command ends, so does this process, and says how: whether and
when another is started is the owner's to decide. Ready is what answers its health path with 2xx.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

from rootward.modules import running
from rootward.modules.code.entry import entered
from rootward.modules.processes.child import listen

from . import http_health
from .command_process import CannotStart, CommandProcess, OwnServer, how_it_ended
from .execution import flush
from .health import WELL, Diagnosis, HealthRounds, checks_of
from .listeners import connections_to, is_taken
from .replica_main import LoadedReplica

if TYPE_CHECKING:
    from rootward.modules.command import CommandModule

    from .parent_watch import ParentWatch

_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.5
_PORTS_TRIED: Final = 5
# More failures than any owner waits for.
_AT_ONCE: Final = 100
_LOOK_S: Final = 0.05
# Of its time to end, for calls that are under way before it hears that it is to end.
_CALLS_SHARE: Final = 0.5


class CommandKeeper(LoadedReplica):
    """One command of a loaded tree, kept by this process."""

    async def serve(self, spec: dict[str, Any], sock: socket.socket, guard: ParentWatch) -> None:
        """Start the command, say when it is ready, and return when it was ended as asked."""
        del guard
        module: CommandModule = self._tree.module_at(self._path)  # type: ignore[assignment]
        self._module, self._spec, self._loop = module, spec, asyncio.get_running_loop()
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._told = ""
        self._is_silent = False
        self._process: CommandProcess | OwnServer | None = None
        self._draining: asyncio.Task[None] | None = None
        self._obey_early()
        try:
            await self._start(sock)
        except CannotStart as error:
            self._end_because(str(error))
        self._channel.send({"event": "ready", "port": self._port})
        checks = [self._check, *checks_of(self._tree, self._path)]
        rounds = asyncio.create_task(HealthRounds(checks, self._channel.send).run())
        code = await asyncio.shield(self._exited)
        rounds.cancel()
        await self._ended_as_asked()
        self._end_because(f"the command {how_it_ended(code)}")

    async def _start(self, sock: socket.socket) -> None:
        """Run the command until it is ready, on another port when somebody took the chosen one."""
        for _ in range(_PORTS_TRIED):
            self._port = sock.getsockname()[1]
            # Held until now, so that nobody is given it before.
            sock.close()
            process = self._process = self._run()
            if await self._is_ready():
                return
            await self._ended_as_asked()
            process.end()
            how = f"the command {how_it_ended(self._exited.result())} before it was ready"
            if not is_taken(self._spec["host"], self._port):
                self._end_because(f"{how}: {shlex.join(self._command())}")
            how = f"port {self._port} of {self._spec['host']} is taken by another program: {how}"
            if self._module.port is not None:
                self._end_because(how)
            self._exited = asyncio.get_running_loop().create_future()
            sock = listen(self._spec["host"], None)
        self._end_because(how)

    def _run(self) -> CommandProcess | OwnServer:
        loop, exited = asyncio.get_running_loop(), self._exited

        def on_exit(code: int) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(exited.set_result, code)

        host, port = self._spec["host"], self._port
        if not self._module.command:
            server = OwnServer(self._module, host, port, on_exit=on_exit)
            self._port = server.port
            return server
        env = {**os.environ, "HOST": host, "PORT": str(port), "PYTHONPATH": _python_path()}
        cwd = None if self._module.cwd is None else self._filled(self._module.cwd)
        return CommandProcess(self._command(), env=env, cwd=cwd, on_exit=on_exit)

    def _command(self) -> list[str]:
        return [self._filled(item) for item in self._module.command]

    def _filled(self, text: str) -> str:
        """Return an item of the command with what stands for this replica in it."""
        text = text.replace("{port}", str(self._port)).replace("{host}", self._spec["host"])
        text = text.replace("{replica}", self._spec["replica"])
        text = text.replace("{python}", sys.executable)
        if "{workspace}" in text:
            folder = running.folder_of(self._tree.name, self._path)
            text = text.replace("{workspace}", str(folder))
        return text

    async def _is_ready(self) -> bool:
        """Return when it answers as it should; False when it has ended before."""
        pause_s = _FIRST_PAUSE_S
        while True:
            asking = asyncio.ensure_future(self._ask())
            either: set[asyncio.Future[Any]] = {asking, self._exited}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self._exited.done():
                asking.cancel()
                return False
            if not (why := asking.result()):
                return True
            if why != self._told:
                self._told = why
                self._channel.send({"event": "waiting", "reason": why})
            await asyncio.wait({self._exited}, timeout=pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)

    async def _ask(self) -> str:
        """Ask over HTTP; return why it isn't well, or an empty text."""
        path = self._module.health_path
        answer = await http_health.ask(self._spec["host"], self._port, path)
        self._is_silent = answer.is_silent
        return "" if answer.is_well else f"GET {path}: {answer.detail}"

    async def _check(self) -> Diagnosis:
        assert self._process is not None
        self._process.bury()
        why = await self._ask()
        if not why:
            return WELL
        if self._is_silent and self._process.is_stopped:
            return Diagnosis(f"{why}: its process was stopped", counts=_AT_ONCE)
        # What is silent because it works is left out, and not dead.
        is_busy = self._is_silent and self._process.has_worked()
        return Diagnosis(why, counts=0 if is_busy else 1)

    def _end_because(self, reason: str) -> NoReturn:
        """End all that is left of the command and this process; the owner hears why."""
        if self._process is not None:
            self._process.end()
        self._channel.send({"event": "ending", "reason": reason})
        flush()
        os._exit(1)

    async def _ended_as_asked(self) -> None:
        """End this process in order if that was asked for."""
        if self._draining is not None:
            await self._draining
            flush()
            os._exit(0)

    def _drain(self, grace: float) -> None:
        if self._loop is None or self._process is None:
            flush()
            os._exit(0)
        if self._draining is None:
            self._draining = asyncio.create_task(self._end_in_order(self._process, grace))

    async def _end_in_order(self, process: CommandProcess | OwnServer, grace_s: float) -> None:
        """Let calls end that are under way, ask the command to end, and end what is left."""
        loop = asyncio.get_running_loop()
        limit_s = min(grace_s, self._module.stop_timeout)
        until = loop.time() + limit_s
        quiet_at = loop.time() + limit_s * _CALLS_SHARE
        while loop.time() < quiet_at and connections_to(self._port):
            await asyncio.wait({self._exited}, timeout=_LOOK_S)
            if self._exited.done():
                break
        process.signal(self._module.stop_signal)
        # A stopped one couldn't hear it.
        process.signal("SIGCONT")
        await asyncio.wait({self._exited}, timeout=max(0.0, until - loop.time()))
        process.end()


def _python_path() -> str:
    """Return the user's own, and where the code that has come with the tree is."""
    code = entered()
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(path for path in [*given, *(code.folders if code else ())] if path)
