"""One task from message to outcome, as a chain of small steps.

It owns what a slot does with a task: catch up with the states, run the module's tasks
under a recorder, and say how it ended. An error of the user's becomes part of the outcome, with its
traceback as the user would have seen it; nothing is raised. What was printed is flushed before the
outcome is told.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any

from rootward.modules import running
from rootward.modules.rpc import tracing
from rootward.modules.state import state_log
from rootward.modules.state.exceptions import describe
from rootward.modules.tasks import run_tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from rootward.modules.evaluation.protocol import Sharing
    from rootward.modules.tree import Tree

    Keep = Callable[[int, list[bytes]], None]


def execute(
    tree: Tree,
    message: dict[str, Any],
    report: running.Report,
    sharing: Sharing | None = None,
    keep: Keep | None = None,
) -> dict[str, Any]:
    """Run the task that the message tells of and return how it ended, with what it took.

    Its progress goes to `report`; an evaluation may have shards computed by `sharing`. `keep` keeps
    the end of each callable of a list, so that another attempt leaves it out.

    After a failure the tree may hold half of what the task did: another process is needed then.
    """
    began = time.monotonic()
    entries: list[bytes] = []
    error: dict[str, str] | None = None
    try:
        for entry in message["states"]:
            state_log.apply(tree, entry)
        task = running.RunningTask(
            deployment=message["deployment"],
            path=message["path"],
            attempt=message["attempt"],
            report=report,
            sharing=sharing,
        )
        with running.within(task), _traced(message):
            if (shard := message.get("shard")) is not None:
                entries = [_shard(tree, message["path"], shard, message["limit"])]
            else:
                entries = _run(tree, message, keep)
    except BaseException as raised:
        # Also SystemExit and KeyboardInterrupt: a task that calls sys.exit() has failed.
        error = describe(raised)
    flush()
    stopped = running.gives_back(error)
    took = time.monotonic() - began
    return {"error": error, "states": entries, "stopped": stopped, "took": took}


def _traced(message: dict[str, Any]) -> contextlib.AbstractContextManager[Any]:
    trace = message.get("trace")
    return tracing.within(trace, "task") if trace else contextlib.nullcontext()


def flush() -> None:
    """Bring all that was printed to the owner."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            # Closed or replaced by the user's code: there is nothing to bring.
            continue


def _shard(tree: Tree, path: str, shard: tuple[int, int], limit: int) -> bytes:
    from rootward.modules.evaluation.shards import compute_shard

    start, stop = shard
    return compute_shard(tree, path, (start, stop), limit)


def _run(tree: Tree, message: dict[str, Any], keep: Keep | None) -> list[bytes]:
    kind = message["kind"]
    recorder = state_log.Recorder(tree, message["path"], message["limit"], kind)

    def on_end(number: int) -> None:
        if keep is not None and (entries := recorder.checkpoint()) is not None:
            keep(number, entries)

    with recorder:
        run_tasks(recorder.module, kind, done=message.get("steps", 0), on_end=on_end)
    return recorder.changes()
