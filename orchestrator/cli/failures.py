"""Errors as a person reads them, and the exit code of each.

An error is one sentence on standard error; a failed deployment is told module by module, in at most
15 lines for each. A traceback is shown only when it was asked for, or when the fault is our own.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..status.places import users_line
from .output import paint, tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..status.failure import Failure
    from ..status.status import Status

FAILED, USAGE, NO_REDIS, INTERRUPTED = 1, 2, 3, 130
SHOWN_FAILURES = 5
MESSAGE_LINES = 4
OUTPUT_LINES = 5


def present(error: BaseException) -> int:
    """Tell an error on standard error; return the exit code that it stands for."""
    from rootward.modules.state.exceptions import message_of

    if isinstance(error, click.ClickException):
        told = io.StringIO()
        error.show(told)
        tell(told.getvalue().rstrip())
        return USAGE
    from ..refusals import refusal

    if (refused := refusal(error)) is not None:
        tell(headed(refused.sentence))
        return refused.code
    code = exit_code(error)
    if code is None and isinstance(error, FileNotFoundError) and _is_folder_gone():
        tell(headed("the folder that this was started in has been removed: cd to another one"))
        return USAGE
    if code is None:
        import traceback

        tell("".join(traceback.format_exception(error)).rstrip())
        tell(headed("this is a fault of rootward itself; please report it with the above"))
        return FAILED
    tell(headed(message_of(error) or type(error).__name__))
    return code


def _is_folder_gone() -> bool:
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def exit_code(error: BaseException) -> int | None:
    """Return 1, 2 or 3, or None for an error that no user can have caused."""
    from rootward.modules import errors as tree_errors

    from .. import errors
    from ..settings import SettingsError

    if isinstance(error, errors.NoRedis) or _is_lost_connection(error):
        return NO_REDIS
    usage = (
        SettingsError,
        errors.PlanError,
        errors.BadName,
        errors.MissingSecret,
        errors.WrongSecret,
        errors.UnknownDeployment,
        errors.UnknownService,
        errors.UnknownTask,
        tree_errors.TargetError,
        tree_errors.CycleError,
        tree_errors.TaskGetterError,
        tree_errors.NestedDeployment,
        tree_errors.NotPortable,
        tree_errors.BundleError,
        tree_errors.StateTooLarge,
    )
    if isinstance(error, usage):
        return USAGE
    if isinstance(error, (errors.OrchestratorError, TimeoutError)):
        return FAILED
    return None


def tell_failures(
    status: Status, failures: Sequence[Failure], *, verbose: bool = False, is_kept: bool = True
) -> None:
    """Explain a failed deployment on standard error, module by module.

    `is_kept` says that its history stays, so that other commands can show the rest.
    """
    shown = failures if verbose else failures[:SHOWN_FAILURES]
    for failure in shown:
        for line in explain(failure, status, verbose=verbose, is_kept=is_kept):
            tell(line)
    if len(failures) > len(shown):
        where = f"rootward status {status.deployment}" if is_kept else "--verbose"
        tell(f"... and {len(failures) - len(shown)} more: {where}")
    running = [each.service for each in status.services if each.state == "ready"]
    if running and is_kept:
        tell(f"still running: {_some(running)}")


def explain(
    failure: Failure, status: Status, *, verbose: bool = False, is_kept: bool = True
) -> list[str]:
    """Return the lines that tell one failed task, 15 at most unless `verbose`."""
    where = f" on {failure.worker}" if failure.worker else ""
    again = f" (attempt {failure.attempt})" if failure.attempt else ""
    lines = [paint(f"x {failure.task} failed{where}{again}", "red", sys.stderr)]
    error = failure.message
    if failure.error_type:
        error = f"{failure.error_type}: {error}" if error else failure.error_type
    lines += _indented(error.splitlines(), MESSAGE_LINES, verbose=verbose)
    if verbose and failure.traceback:
        lines += [f"  {line}" for line in failure.traceback.rstrip().splitlines()]
    elif place := users_line(failure.traceback):
        lines.append(f"  at {place}")
    if failure.log_tail:
        tail = failure.log_tail if verbose else failure.log_tail[-OUTPUT_LINES:]
        lines.append("  the last of its output:")
        lines += [f"  | {line}" for line in tail]
    if stopped := _skipped_because_of(failure, status):
        lines.append(f"  not started because of it: {_some(stopped)}")
    if not verbose:
        logs = f"rootward logs {status.deployment} {failure.module}"
        lines.append(f"  all of it: {logs if is_kept else '--verbose'}")
    return lines


def _skipped_because_of(failure: Failure, status: Status) -> list[str]:
    # Nothing waits for a warm-up, and nobody asked for a join.
    return [
        task.id
        for task in status.tasks
        if task.state == "skipped"
        and task.kind not in {"join", "prepare"}
        and failure.task in (task.reason or "")
    ]


def hint_lines(status: Status) -> Iterator[str]:
    """Return the commands to go on with after a failure."""
    yield (
        f"when the cause is mended: rootward resume {status.deployment}"
        " (after a change of the code: deploy again)"
    )
    if any(each.state == "ready" for each in status.services):
        yield f"to stop what runs: rootward stop {status.deployment}"


def headed(text: str) -> str:
    """Return an error as it is told: after the word that every error begins with."""
    return f"{paint('error:', 'red', sys.stderr)} {text}"


def _indented(lines: Sequence[str], limit: int, *, verbose: bool) -> list[str]:
    if not verbose and len(lines) > limit:
        lines = [*lines[: limit - 1], f"... ({len(lines) - limit + 1} more lines: --verbose)"]
    return [f"  {line}" for line in lines]


def _some(names: Sequence[str], limit: int = 4) -> str:
    text = ", ".join(names[:limit])
    return text if len(names) <= limit else f"{text} and {len(names) - limit} more"


def _is_lost_connection(error: BaseException) -> bool:
    # Redis is imported already if it is where the error comes from.
    redis_errors = sys.modules.get("redis.exceptions")
    if redis_errors is None:
        return False
    kinds = (redis_errors.ConnectionError, redis_errors.TimeoutError)
    return isinstance(error, kinds)
