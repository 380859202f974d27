"""The process of one slot: it runs tasks, one at a time, until its owner lets it go.

The main thread belongs to the user's code and takes the tasks itself; a guard thread listens to the
owner beside it, so that new endpoints arrive in the middle of a task and the end of the owner is
the end of the slot. What is printed belongs to the task that runs: after one that has printed,
the slot waits until the owner has read it all.
"""

from __future__ import annotations

import array
import fcntl
import termios
import threading
from typing import TYPE_CHECKING

from . import execution, process_tree
from .parent_watch import Guard

if TYPE_CHECKING:
    from rootward.modules.processes.channel import Channel, Message
    from rootward.modules.processes.dispatch import Work
    from rootward.modules.rpc.endpoints import PushedRoutes
    from rootward.modules.tree import Tree


def run(tree: Tree, routes: PushedRoutes, channel: Channel, work: Work) -> None:
    """Run what comes on the lane; does not return before the owner is gone."""
    message = work.next()
    # Not sooner: what the owner had said before its first task is there now, and is heard first.
    Guard(channel, routes, lambda _: None).start()
    while message is not None:
        run_once(tree, work, message)
        message = work.next()


def run_once(tree: Tree, work: Work, message: Message) -> None:
    """Run one task and tell of it."""
    done = execution.execute(tree, message)
    done["done"] = message["number"]
    done["printed"] = printed = has_printed()
    work.send(done)
    if done["error"] is not None:
        # The tree may hold half of what the task did: what else was to run here, others do.
        threading.Event().wait()
    if printed:
        work.await_leave()


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
