"""The owner's end of templates: the processes that slots and replicas are forked from.

A bare template is started by command line and holds no user code; a generation's template is forked
from it and loads one tree; its children are forked from that, or, where forking what it has loaded
is not safe, it turns into its one child itself. Templates report the exits of their children, and
end with everything below them when their channel closes: that is what ends it all when the owner
dies. An owner belongs to one event loop. This file starts processes and passes on what they say;
the other end is `rootward.worker.child.forkserver_main`, reached by command line only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, Final

from ..errors import RootwardError
from . import channel
from .child import Child, Pipes, listen
from .scarcity import NoProcess

__all__ = ["Child", "LoadFailed", "LoadedInfo", "ReplicaSpec", "Template", "listen"]

_SECRETS: Final = ("ROOTWARD_SECRET", "REDIS_URL")
_TAIL_BYTES: Final = 1 << 16
_CLOSE_S: Final = 2.0
_LOST_S: Final = 0.2
_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSpec:
    """What a replica is to serve, and how; times are in seconds.

    `states` are applied before `setup()`, `table` are the endpoints that it may call.
    """

    path: str
    replica: str = ""
    host: str = "127.0.0.1"
    token: str
    call_key: bytes
    call_token: str = ""
    startup_timeout: float = 60.0
    call_timeout: float | None = None
    concurrency: int = 32
    env: Mapping[str, str] = field(default_factory=dict)
    states: tuple[bytes, ...] = ()
    table: Mapping[str, list[list[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedInfo:
    """A tree was loaded; `output` is what that printed, as (descriptor, bytes)."""

    fork_safe: bool
    output: tuple[tuple[int, bytes], ...] = ()


class LoadFailed(RootwardError):
    """A tree could not be loaded; `error` has type, message and traceback of the user's error.

    `is_loss` says that its process was killed meanwhile, which says nothing about the tree.
    """

    def __init__(
        self, error: Mapping[str, str], output_tail: str = "", *, is_loss: bool = False
    ) -> None:
        super().__init__(f"the tree can't be loaded: {error['type']}: {error['message']}")
        self.error = dict(error)
        self.output_tail = output_tail
        self.is_loss = is_loss


class Template:
    """One template process; `on_exit` is called when it has ended, and its children with it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bare: Template | None) -> None:
        """Make its channel; `launch` and `fork` start processes."""
        self.id = f"t{next(_numbers)}"
        self.pid: int | None = None
        self.ended: asyncio.Future[None] = loop.create_future()
        self.on_exit: Callable[[Template], None] | None = None
        self._loop, self._bare = loop, bare
        self._env: Mapping[str, str] | None = None
        self._channel, self._theirs = channel.pair()
        self._channel.attach(loop, self._said, self._hung_up)
        self._forked: dict[str, Template] = {}
        self._children: dict[str, Child] = {}
        self._loading: asyncio.Future[LoadedInfo] | None = None
        self._fork_safe = sys.platform.startswith("linux")
        self._is_for_one = False
        self._became: Child | None = None
        self._is_closing = False
        # Why it ended, once it has.
        self._end: RootwardError | None = None
        self._output: list[tuple[int, bytes]] = []
        self._pipes: Pipes | None = None

    @classmethod
    def launch(
        cls, loop: asyncio.AbstractEventLoop, *, env: Mapping[str, str] | None = None
    ) -> Template:
        """Start a bare template; `env` replaces this process's environment.

        Raises OSError or NoProcess, and leaves nothing, when the machine has no room for it.
        """
        template = cls(loop, None)
        template._env = env
        fd = template._theirs.fileno()
        # PYTHONPATH is the user's; -P keeps the current folder, with whatever it is called, out.
        command = [sys.executable, "-P", "-m", "rootward.worker.child.forkserver_main"]
        try:
            process = subprocess.Popen(
                [*command, "--fd", str(fd)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_scrubbed(os.environ if env is None else env),
                pass_fds=[fd],
                start_new_session=True,
            )
        except OSError:
            template._abandon()
            raise
        template.pid = process.pid
        template._theirs.close()
        waiter = threading.Thread(
            target=template._await_exit, args=(process,), name="rootward-template", daemon=True
        )
        try:
            waiter.start()
        except RuntimeError as error:
            process.kill()
            process.wait()
            template._abandon()
            raise NoProcess(str(error)) from error
        return template

    def fork(self) -> Template:
        """Start a new template from this bare one, where that is safe; else launch another.

        Raises OSError, and leaves nothing, when the machine has no room for its channel.
        """
        if not self._fork_safe:
            return Template.launch(self._loop, env=self._env)
        template = Template(self._loop, self)
        template._pipes = pipes = Pipes(self._loop, template._printed)
        try:
            pipes.open()
            fds = [template._theirs.fileno(), *pipes.theirs]
            self._channel.send({"op": "fork", "id": template.id}, fds)
        except OSError:
            template._abandon()
            raise
        self._forked[template.id] = template
        template._theirs.close()
        pipes.hand_over()
        if self.ended.done():
            self._loop.call_soon(template._has_ended, None)
        return template

    def load(
        self,
        definition: bytes,
        *,
        folder: str | None = None,
        worker: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> asyncio.Future[LoadedInfo]:
        """Let it load a tree; the future raises LoadFailed, or NoProcess. One load a template.

        `folder` is where the code that the tree needs was unpacked, `worker` the name that errors
        give its processes. With `env`, which is set before the user's code is imported, it is for
        one child only, and turns into that.
        """
        self._is_for_one = env is not None
        self._loading = self._loop.create_future()
        # Nobody may be waiting any more when a template is closed while it loads.
        self._loading.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._channel.send(
            {
                "op": "load",
                "definition": definition,
                "folder": folder,
                "worker": worker,
                "env": dict(env or {}),
            }
        )
        if self._end is not None:
            self._loading.set_exception(self._end)
        return self._loading

    def slot(self, child_id: str) -> Child:
        """Start a slot; where it can't fork, the template turns into it."""
        return self._start(Child(self._loop, child_id, has_lane=True), {"op": "slot"})

    def replica(self, child_id: str, spec: ReplicaSpec, sock: socket.socket) -> Child:
        """Start a replica behind the bound socket, which the caller may close then."""
        message = {"op": "replica", "spec": asdict(spec)}
        return self._start(Child(self._loop, child_id), message, sock.fileno())

    def close_unused(self) -> None:
        """End it if it was to turn into a child that nobody starts any more."""
        if self._is_for_one and self._became is None:
            self.close()

    def close(self) -> None:
        """End it and everything below it; `ended` is done when nothing is left."""
        if self._is_closing or self.ended.done():
            return
        self._is_closing = True
        # A template that runs the user's imports doesn't look at its channel.
        is_busy = self._loading is not None and not self._loading.done()
        if self._became is not None:
            self._became.kill()
        elif is_busy or self._channel.fileno() < 0:
            self._kill()
        else:
            self._channel.close()
            self._signal(signal.SIGCONT)
            self._loop.call_later(_CLOSE_S, self._kill)

    def _start(self, child: Child, message: channel.Message, *fds: int) -> Child:
        becomes = self._is_for_one or not self._fork_safe
        fds_ = child.descriptors(*fds)
        try:
            self._channel.send({**message, "id": child.id, "become": becomes}, fds_)
        except OSError:
            child.abandon()
            if becomes:
                # Nobody else can have it.
                self.close()
            raise
        child.handed_over()
        if becomes:
            self._became = child
            if self.pid is not None:
                child.started(self.pid)
        else:
            self._children[child.id] = child
        if self.ended.done() or self._is_closing:
            self._loop.call_soon(child.ended, None)
        return child

    def _said(self, message: channel.Message, fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)
        about: Any = message.get("id")
        match message["event"]:
            case "started" if about in self._forked:
                self._forked[about]._has_started(message["pid"])
            case "started" if about in self._children:
                self._children[about].started(message["pid"])
            case "exited" if about in self._forked:
                self._forked.pop(about)._has_ended(message["status"])
            case "exited" if about in self._children:
                self._children.pop(about).ended(message["status"])
            case "refused" if about in self._forked:
                self._forked.pop(about)._has_ended(None, NoProcess(message["reason"]))
            case "refused" if about in self._children:
                self._children.pop(about).refused(NoProcess(message["reason"]))
            case "refused" if self._became is not None and about == self._became.id:
                became, self._became = self._became, None
                became.refused(NoProcess(message["reason"]))
                # Nobody else can have it.
                self.close()
            case "loaded" if self._loading is not None and not self._loading.done():
                self._drain()
                self._fork_safe = message["fork_safe"]
                output, self._output = tuple(self._output), []
                self._loading.set_result(LoadedInfo(fork_safe=message["fork_safe"], output=output))
            case "load_failed":
                self._fail_load(self._load_failed(message["error"]))

    def _has_started(self, pid: int) -> None:
        self.pid = pid
        if self._became is not None:
            self._became.started(pid)
        if self._is_closing:
            self._kill()

    def _hung_up(self) -> None:
        """Its channel has closed: it has turned into its child, or it has ended."""
        if self._became is None and self._bare is not None and self._bare.ended.done():
            self._has_ended(None)

    def _abandon(self) -> None:
        """Close everything of one that has no process."""
        self._channel.close()
        self._theirs.close()
        if self._pipes is not None:
            self._pipes.close()

    def _has_ended(self, waitstatus: int | None, refusal: NoProcess | None = None) -> None:
        if self.ended.done():
            return
        self._drain()
        self._abandon()
        error = {
            "type": "ProcessEnded",
            "message": f"the process that loads it ended ({_how(waitstatus)})",
            "traceback": "",
        }
        is_loss = waitstatus is None or os.WIFSIGNALED(waitstatus)
        self._end = refusal or self._load_failed(error, is_loss=is_loss)
        self._fail_load(self._end)
        self.ended.set_result(None)
        for child in [*self._children.values()]:
            # They died with it, by the kernel's hand; their own status nobody has seen.
            child.ended(None)
        self._children.clear()
        if self._became is not None:
            self._became.ended(waitstatus)
        for template in [*self._forked.values()]:
            template._lost_bare()
        if self.on_exit is not None:
            self.on_exit(self)

    def _lost_bare(self) -> None:
        """Its bare template has ended: nobody reports its exit any more, so it ends too."""
        self.close()
        self._loop.call_later(_LOST_S, self._has_ended, None)

    def _await_exit(self, process: subprocess.Popen[bytes]) -> None:
        status = process.wait()
        waitstatus = -status if status < 0 else status << 8
        try:
            self._loop.call_soon_threadsafe(self._has_ended, waitstatus)
        except RuntimeError:
            # The loop was closed before: nobody is there to be told.
            return

    def _load_failed(self, error: Mapping[str, str], *, is_loss: bool = False) -> LoadFailed:
        self._drain()
        tail = b"".join(data for _, data in self._output)[-_TAIL_BYTES:]
        return LoadFailed(error, tail.decode(errors="replace"), is_loss=is_loss)

    def _fail_load(self, error: RootwardError) -> None:
        if self._loading is not None and not self._loading.done():
            self._loading.set_exception(error)

    def _drain(self) -> None:
        self._channel.drain()
        if self._pipes is not None:
            self._pipes.drain()

    def _printed(self, number: int, data: bytes) -> None:
        if self._loading is None or not self._loading.done():
            self._output.append((number, data))

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None and not self.ended.done():
            try:
                os.kill(self.pid, number)
            except OSError:
                return


def _scrubbed(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for processes that run user code."""
    kept = {name: value for name, value in env.items() if name not in _SECRETS}
    # The folder that holds the package `rootward`, through which this file was imported.
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
    if os.path.basename(root) not in ("site-packages", "dist-packages"):
        # A checkout: whoever put it on this process's path may have done so by its own means.
        paths = [path for path in kept.get("PYTHONPATH", "").split(os.pathsep) if path]
        kept["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*paths, root]))
    return kept


def _how(waitstatus: int | None) -> str:
    if waitstatus is None:
        return "how is unknown"
    if os.WIFSIGNALED(waitstatus):
        return f"killed by {signal.Signals(os.WTERMSIG(waitstatus)).name}"
    return f"exit code {os.waitstatus_to_exitcode(waitstatus)}"
