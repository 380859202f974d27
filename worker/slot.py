"""The process of one slot: it runs tasks, one at a time, until its owner lets it go.

The main thread belongs to the user's code; a guard thread listens to the owner meanwhile, so that
new endpoints arrive in the middle of a task and the end of the owner is the end of the slot.
"""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING

from . import execution
from .guard import Guard

if TYPE_CHECKING:
    from modules.routes import PushedRoutes
    from modules.tree import Tree
    from modules.wire import Channel, Message


def run(tree: Tree, routes: PushedRoutes, channel: Channel) -> None:
    """Run what the channel asks for; does not return before the process ends."""
    inbox: SimpleQueue[Message] = SimpleQueue()
    Guard(channel, routes, inbox.put).start()
    while True:
        run_once(tree, channel, inbox.get())


def run_once(tree: Tree, channel: Channel, message: Message) -> None:
    """Obey one message."""
    match message["op"]:
        case "run":
            channel.send(execution.execute(tree, message))
        case "ping":
            channel.send({"event": "pong", "n": message["n"]})
