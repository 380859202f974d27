"""The task that runs in this process, as its own code sees it: progress, workspace, attempt.

Who runs a task says so by `within`; user code asks by the public functions. Progress goes to the
runner's `report`, at most as often as it is called; what is kept of it is the runner's to decide.
Outside of a task, progress goes nowhere and the others raise NoTask.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .code.cache_folder import cache_folder
from .errors import RootwardError

if TYPE_CHECKING:
    from pathlib import Path

    from .evaluation.protocol import Sharing

LONGEST_TEXT = 200
MOST_FIGURES = 20

Report = Callable[[Mapping[str, Any]], None]


class NoTask(RootwardError):
    """Something was asked of the running task where none runs."""


class BadWorkspace(RootwardError):
    """The folder of a task's workspace can't be made or written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTask:
    """A task under way: `deployment` is a name without generation, `report` takes its progress.

    `sharing` has parts of an evaluation computed elsewhere, where that can be.
    """

    deployment: str
    path: str
    attempt: int = 1
    report: Report | None = None
    sharing: Sharing | None = None


_current: RunningTask | None = None
_stop = False
_has_seen_stop = False
_on_stopping: list[Callable[[], object]] = []


@contextlib.contextmanager
def within(task: RunningTask) -> Iterator[None]:
    """Let `task` be the one that runs in this process, in all of its threads."""
    global _current, _has_seen_stop
    before, _current = _current, task
    _has_seen_stop = False
    _on_stopping.clear()
    try:
        yield
    finally:
        _current = before


def current() -> RunningTask | None:
    """Return the task that runs in this process, None outside of one."""
    return _current


def stopping() -> bool:
    """Whether the worker of the running task is leaving: what is to be kept should be saved now.

    A task that has been told so is queued again when it ends, however it ends, and goes on from
    what it has saved; that counts neither as an attempt nor as a loss. False outside of a task.
    """
    global _has_seen_stop
    if _stop and _current is not None:
        _has_seen_stop = True
    return _has_seen_stop


def on_stopping(handler: Callable[[], object]) -> Callable[[], object]:
    """Have `handler` called, in a thread of its own, when the running task's worker leaves.

    The task goes on meanwhile; one that hasn't ended when the time is over is queued again, and so
    is one that raises. Returns the handler. Raises NoTask outside of a task.
    """
    _task("on_stopping")
    _on_stopping.append(handler)
    if _stop:
        _begin(handler)
    return handler


def announce_stop() -> None:
    """Let the task that runs here, and those that follow, know that their worker is leaving."""
    global _stop
    _stop = True
    for handler in tuple(_on_stopping):
        _begin(handler)


def gives_back(error: object) -> bool:
    """Whether the task that has just ended, with `error` if any, goes back to its queue."""
    return _has_seen_stop or (_stop and bool(_on_stopping) and error is not None)


def _begin(handler: Callable[[], object]) -> None:
    import threading

    threading.Thread(target=handler, name="rootward-stopping", daemon=True).start()


def attempt() -> int:
    """Return which attempt of the running task this is, from 1; raises NoTask outside of one."""
    return _task("attempt").attempt


def workspace() -> Path:
    """Return a folder for the running task's module, made if it isn't there.

    It is the same for every attempt, and for every generation of the deployment's name: what a
    training puts there is there when it is tried again. It lies under `ROOTWARD_WORKSPACE`, shared
    storage if workers are to find each other's, by default under this machine's cache. Raises
    NoTask outside of a task, BadWorkspace when the folder can't be made or written.
    """
    task = _task("workspace")
    return folder_of(task.deployment, task.path)


def folder_of(deployment: str, path: str) -> Path:
    """Return the workspace of the module at `path`, made if it isn't there; raises BadWorkspace."""
    from pathlib import Path

    # No part of a path has a plus sign.
    folder = Path(_root(), deployment, path.replace("/", "+"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise BadWorkspace(
            f"the workspace {folder} can't be made ({cause.strerror}): set ROOTWARD_WORKSPACE to a "
            "folder that can be written"
        ) from cause
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadWorkspace(
            f"the workspace {folder} can't be written: set ROOTWARD_WORKSPACE to a folder that can"
        )
    return folder


def progress(
    done: float, total: float | None = None, text: str | None = None, **figures: float
) -> None:
    """Report how far the running task has come: `done` of `total`, a word, and any figures.

    The last report is kept with the task, others are shown while they are new. Outside of a task
    nothing happens. Raises TypeError or ValueError for what isn't a finite number or is negative.
    """
    report = {
        "done": _number("done", done),
        "total": None if total is None else _number("total", total),
        "text": None if text is None else str(text)[:LONGEST_TEXT],
        "figures": {
            name: _shown(_figure(name, figures[name])) for name in list(figures)[:MOST_FIGURES]
        },
        "at": time.time(),
    }
    if _current is not None and _current.report is not None:
        _current.report(report)


def _task(what: str) -> RunningTask:
    if _current is None:
        raise NoTask(f"rootward.{what}() was called, and no task runs in this process")
    return _current


def _root() -> str:
    if given := os.environ.get("ROOTWARD_WORKSPACE"):
        return os.path.abspath(os.path.expanduser(given))
    return os.path.join(cache_folder(), "workspaces")


def _number(name: str, value: float) -> float:
    number = _figure(name, value)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"progress: {name} is {value!r}, and must be a finite number from 0 on")
    return number


def _figure(name: str, value: float) -> float:
    """Return a number as plain Python's, also one of numpy's."""
    try:
        # Text that looks like a number is a mistake all the same.
        number = float(value + 0)
    except (TypeError, ValueError) as cause:
        raise TypeError(f"progress: {name} is {value!r}, and no number") from cause
    return int(number) if number.is_integer() and abs(number) < 1 << 53 else number


def _shown(number: float) -> float | str:
    """Return a figure as JSON can have it: one that isn't finite by its name."""
    return number if math.isfinite(number) else str(number)
