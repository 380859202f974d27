"""The process that slots and replicas are forked from.

    python -P -m rootward.worker.child.forkserver_main --fd N

A bare template has all that serving takes imported and no user code; told to, it forks generation
templates, and those load one tree and fork its slots and replicas. It has one thread, waits for its
control channel and its children only, reports their exits, and runs nothing else. When the channel
ends, all below it is killed before it exits itself; orphans of its descendants come to it, so none
escapes.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import select
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rootward.modules.executor import forbid
from rootward.modules.processes import channel, threads
from rootward.modules.processes.dispatch import Work

from . import process_tree, random_state

Program = Callable[[], "Program | None"]

# What is asked of a new template comes at once.
_IDLE_MS = 300


class TemplateProcess:
    """The loop of one template; `run` returns what a forked child is to run, or None at the end."""

    def __init__(
        self, control: channel.Channel, when_idle: Callable[[], None] | None = None
    ) -> None:
        """Take over the control channel; `when_idle` is done once, when nothing is to be done."""
        self._channel, self._when_idle = control, when_idle
        self._children: dict[int, str] = {}
        self._spared: set[int] = set()
        self._has_ended = False
        self._tree: Any = None
        self._routes: Any = None
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._ring, False)

    def run(self) -> Program | None:
        """Serve until the channel ends; in a forked child, return the child's program."""
        self._watch_children()
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll(None if self._when_idle is None else _IDLE_MS)}
            if not ready and self._when_idle is not None:
                self._when_idle()
                self._when_idle = None
            if self._bell in ready:
                self._reap()
            if self._channel.fileno() in ready:
                program = self._listen()
                if program is not None or self._has_ended:
                    return program

    def _listen(self) -> Program | None:
        """Obey what has come; in a forked child, return the child's program."""
        while True:
            received = self._channel.recv()
            if received is None:
                process_tree.kill_all(self._children)
                self._has_ended = True
                return None
            program = self._obey(*received)
            if program is not None or not self._channel.has_message:
                return program

    def _obey(self, message: channel.Message, fds: list[int]) -> Program | None:
        match message["op"]:
            case "fork" | "slot" | "replica" if not fds:
                reason = "the process that starts others may open no more files"
                self._report({"event": "refused", "id": message["id"], "reason": reason})
            case "fork":
                return self._fork(message["id"], partial(_generation, fds), fds)
            case "load":
                os.environ.update(message["env"])
                self._load(message["definition"], message["folder"], message["worker"])
            case "slot" | "replica":
                return self._spawn(message, fds)
        return None

    def _spawn(self, message: channel.Message, fds: list[int]) -> Program | None:
        assert self._tree is not None, "an owner loads a tree first"
        program = partial(_slot, self._tree, self._routes, fds)
        if message["op"] == "replica":
            program = partial(_replica, self._tree, self._routes, message["spec"], fds)
        if not message["become"]:
            return self._fork(message["id"], program, fds)
        self._leave()
        return program

    def _fork(self, child_id: str, program: Program, fds: list[int]) -> Program | None:
        _flush()
        me, reason = os.getpid(), ""
        try:
            pid = os.fork()
        except OSError as error:
            pid, reason = -1, str(error)
        if pid == 0:
            process_tree.die_with_parent(me)
            self._leave()
            return program
        for fd in fds:
            os.close(fd)
        if pid < 0:
            self._report({"event": "refused", "id": child_id, "reason": reason})
            return None
        self._children[pid] = child_id
        self._report({"event": "started", "id": child_id, "pid": pid})
        return None

    def _leave(self) -> None:
        """Give up being this template, in a child or to become one."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._bell)
        os.close(self._ring)
        self._channel.close()

    def _load(self, definition: bytes, folder: str | None, worker: str | None) -> None:
        from rootward.modules.rpc.endpoints import PushedRoutes
        from rootward.modules.runtime import attach
        from rootward.modules.state.exceptions import describe
        from rootward.modules.state.trees import unpack

        try:
            tree = unpack(definition, folder, worker=worker)
            routes = PushedRoutes(b"")
            attach(tree, routes)
        except BaseException as error:
            self._report({"event": "load_failed", "error": describe(error)})
            return
        finally:
            _flush()
            # The user's imports may have set handlers of their own.
            self._watch_children()
        self._tree, self._routes = tree, routes
        # The states of all modules come to each slot.
        tree.learn_paths()
        # What is loaded now is shared with all children as long as nobody writes to it.
        gc.collect()
        gc.freeze()
        self._report({"event": "loaded", "fork_safe": _is_fork_safe()})

    def _watch_children(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        # A child may have ended while nobody looked.
        os.write(self._ring, b"\0")

    def _reap(self) -> None:
        try:
            rung = os.read(self._bell, 4096)
        except BlockingIOError:
            return
        while True:
            try:
                # Not reaped yet: until then nobody else can be given its number.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                if signal.SIGCHLD in rung:
                    # A slot asks for it, when its task may have left something.
                    process_tree.kill_strays(self._children, self._spared)
                return
            child_id = self._children.pop(ended.si_pid, None)
            if child_id is not None:
                process_tree.kill_group(ended.si_pid)
            self._spared.discard(ended.si_pid)
            _, waitstatus = os.waitpid(ended.si_pid, 0)
            process_tree.kill_strays(self._children, self._spared)
            if child_id is not None:
                self._report(
                    {"event": "exited", "id": child_id, "pid": ended.si_pid, "status": waitstatus}
                )

    def _report(self, message: channel.Message) -> None:
        try:
            self._channel.send(message)
        except OSError:
            # The owner is gone, and the channel's end says so next.
            return


def _generation(fds: Sequence[int]) -> Program | None:
    control, out, err = fds
    process_tree.lead_group()
    # Neither survives a fork.
    process_tree.adopt_orphans()
    process_tree.wake_with_parent_death()
    _print_to(out, err)
    return TemplateProcess(channel.Channel(socket.socket(fileno=control))).run()


def _slot(tree: Any, routes: Any, fds: Sequence[int]) -> None:
    from . import task_loop

    control, out, err, *lane = fds
    _enter(out, err)
    task_loop.run(tree, routes, channel.Channel(socket.socket(fileno=control)), Work(*lane))


def _replica(tree: Any, routes: Any, spec: dict[str, Any], fds: Sequence[int]) -> None:
    from rootward.modules.command import CommandModule

    from . import replica_main

    control, out, err, listening = fds
    _enter(out, err)
    messages = channel.Channel(socket.socket(fileno=control))
    kind: type[replica_main.LoadedReplica] = replica_main.ServingProcess
    if isinstance(tree.module_at(spec["path"]), CommandModule):
        from .command_main import CommandKeeper

        kind = CommandKeeper
    replica_main.run(tree, routes, spec, messages, socket.socket(fileno=listening), kind)


def _enter(out: int, err: int) -> None:
    process_tree.lead_group()
    _print_to(out, err)
    random_state.reseed()


def _print_to(out: int, err: int) -> None:
    _flush()
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            # The user's code may have closed or replaced it.
            continue


def _is_fork_safe() -> bool:
    """Whether what is loaded survives a fork: no threads of Python's, no GPU context."""
    threads.dismiss()
    if not process_tree.IS_LINUX or threading.active_count() > 1:
        return False
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    return cuda is None or not cuda.is_initialized()


def _warm() -> None:
    """Import what every tree, slot and replica needs, so that none has to."""
    import concurrent.futures.thread  # noqa: F401

    # Not for us: hardly a library does without it, and it costs a third of a small tree's load.
    import random  # noqa: F401

    import cloudpickle  # noqa: F401
    import msgpack  # noqa: F401

    from rootward import modules
    from rootward.modules import runtime  # noqa: F401
    from rootward.modules.evaluation import evalset  # noqa: F401
    from rootward.modules.state import trees  # noqa: F401

    from . import task_loop  # noqa: F401
    from .replica_main import quick_loop

    quick_loop()
    for name in modules.__all__:
        getattr(modules, name)

    # Every template is forked from here: what is loaded now is neither searched nor copied again.
    gc.collect()
    gc.freeze()


def _warm_more() -> None:
    """Import what only calls by HTTP need: too slow for the start, and needed by most replicas."""
    import pydantic

    pydantic.TypeAdapter(int)
    gc.collect()
    gc.freeze()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a bare template, and in its children whatever they become."""
    parser = argparse.ArgumentParser(prog="rootward.worker.child.forkserver_main")
    parser.add_argument("--fd", type=int, required=True)
    control = socket.socket(fileno=parser.parse_args(arguments).fd)
    control.set_inheritable(False)
    process_tree.adopt_orphans()
    process_tree.wake_with_parent_death()
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)
    forbid("this is a worker's process")
    # Whether a fork is safe is judged after each load; threads of libraries look after themselves.
    warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
    _warm()
    program: Program | None = TemplateProcess(channel.Channel(control), _warm_more).run
    code = 1
    try:
        while program is not None:
            program = program()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        _flush()
        os._exit(code)


if __name__ == "__main__":
    main()
