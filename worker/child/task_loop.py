"""The process of one slot: it runs tasks, one at a time, until its owner lets it go.

The main thread belongs to the user's code and takes the tasks itself; a guard thread listens to the
owner beside it, so that new endpoints arrive in the middle of a task and the end of the owner is
the end of the slot. What is printed belongs to the task that runs: after one that has printed,
the slot waits until the owner has read it all.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import math
import termios
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from rootward.modules import running
from rootward.modules.errors import TaskFailed

from . import execution, process_tree
from .leftovers import Leftovers
from .parent_watch import ParentWatch, tell_held

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootward.modules.processes.channel import Channel, Message
    from rootward.modules.processes.dispatch import Work
    from rootward.modules.rpc.endpoints import PushedRoutes
    from rootward.modules.tree import Tree

PROGRESS_EVERY_S = 0.125


def run(tree: Tree, routes: PushedRoutes, channel: Channel, work: Work) -> None:
    """Run what comes on the lane; does not return before the owner is gone."""
    routes.on_held = partial(tell_held, channel)
    message, leftovers = work.next(), Leftovers()
    # Not sooner: what the owner had said before its first task is there now, and is heard first.
    ParentWatch(channel, routes, _hear).start()
    while message is not None:
        run_once(tree, work, message, leftovers)
        message = work.next()


def _hear(message: Message) -> None:
    if message["op"] == "stopping":
        running.announce_stop()


def run_once(tree: Tree, work: Work, message: Message, leftovers: Leftovers) -> None:
    """Run one task, report its progress and its end; what it has started ends with it."""
    progress = Progress(work, message["number"])
    sharing = None
    if message["kind"] == "eval" and message.get("shard") is None:
        from .shard_channel import ShardChannel

        sharing = ShardChannel(work, message["number"])
    done = execution.execute(tree, message, progress.report, sharing, partial(_keep, work, message))
    is_spoiled = leftovers.end() or done["error"] is not None
    printed = has_printed()
    end = {"number": message["number"], "done": True, "printed": printed, **done}
    work.send({**end, "spoiled": is_spoiled, "progress": progress.left()})
    if is_spoiled:
        # The tree may hold half of what the task did, or processes of the task are still here: what
        # else was to run here, others do.
        threading.Event().wait()
    if printed:
        work.await_leave()


def _keep(work: Work, message: Message, step: int, entries: list[bytes]) -> None:
    """Have the end of a callable kept, with what it has changed; return when that is done."""
    wish = {"op": "keep", "step": step, "states": entries}
    work.send({"number": message["number"], "done": False, "wish": wish})
    answer = work.next_answer()
    if answer is not None and (error := answer.get("error")) is not None:
        raise TaskFailed(f"what it has changed can't be kept: {error['message']}")


class Progress:
    """What one task reports, sent at most eight times a second; the last goes with its end."""

    def __init__(self, work: Work, number: int) -> None:
        self._work, self._number = work, number
        # Threads of the user's may report at once.
        self._lock = threading.Lock()
        self._sent_at = -math.inf
        self._left: Mapping[str, Any] | None = None

    def report(self, progress: Mapping[str, Any]) -> None:
        """Send a report at once, or a little later when another has just been sent."""
        with self._lock:
            is_waiting, self._left = self._left is not None, progress
            wait_s = self._sent_at + PROGRESS_EVERY_S - time.monotonic()
            if wait_s <= 0:
                self._send()
            elif not is_waiting:
                # A task that reports and then computes for an hour is shown where it is.
                timer = threading.Timer(wait_s, self._send_later)
                timer.daemon = True
                timer.start()

    def left(self) -> Mapping[str, Any] | None:
        """Return the last report if it wasn't sent; none is sent from here on."""
        with self._lock:
            left, self._left = self._left, None
            return left

    def _send_later(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._send()

    def _send(self) -> None:
        if self._left is not None:
            progress, self._left, self._sent_at = self._left, None, time.monotonic()
            self._work.send({"number": self._number, "done": False, "progress": progress})


def has_printed() -> bool:
    """Whether something that was printed may not have been read by the owner yet."""
    if not process_tree.IS_LINUX:
        return True
    unread = array.array("i", [0])
    for fd in (1, 2):
        try:
            fcntl.ioctl(fd, termios.FIONREAD, unread)
        except OSError:
            # Closed or replaced by the user's code.
            return True
        if unread[0]:
            return True
    return False
