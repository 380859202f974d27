"""One task from message to outcome, as a chain of small steps.

It owns what a slot does with a task: catch up with the states, run the module's tasks
under a recorder, and say how it ended. An error of the user's becomes part of the outcome, with its
traceback as the user would have seen it; nothing is raised. What was printed is flushed before the
outcome is told.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from rootward.modules.rpc import tracing
from rootward.modules.state import state_log
from rootward.modules.state.exceptions import describe
from rootward.modules.tasks import run_tasks

if TYPE_CHECKING:
    from rootward.modules.tree import Tree


def execute(tree: Tree, message: dict[str, Any]) -> dict[str, Any]:
    """Run the task that the message tells of and return the `done` message, with what it took.

    After a failure the tree may hold half of what the task did: another process is needed then.
    """
    began = time.monotonic()
    entries: list[bytes] = []
    error: dict[str, str] | None = None
    try:
        for entry in message["states"]:
            state_log.apply(tree, entry)
        if trace := message.get("trace"):
            with tracing.within(trace, "task"):
                entries = _run(tree, message["path"], message["kind"], message["limit"])
        else:
            entries = _run(tree, message["path"], message["kind"], message["limit"])
    except BaseException as raised:
        # Also SystemExit and KeyboardInterrupt: a task that calls sys.exit() has failed.
        error = describe(raised)
    flush()
    return {"error": error, "states": entries, "took": time.monotonic() - began}


def flush() -> None:
    """Bring all that was printed to the owner."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            # Closed or replaced by the user's code: there is nothing to bring.
            continue


def _run(tree: Tree, path: str, kind: str, limit: int) -> list[bytes]:
    recorder = state_log.Recorder(tree, path, limit)
    with recorder:
        run_tasks(recorder.module, kind)
    return recorder.changes()
