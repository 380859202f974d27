"""The command `logs`: what tasks and replicas wrote, and what they raised.

Of several sources each line stands behind the module that it is of, as in `docker compose logs`;
of one module the text is as it was written. What was dropped, as too much was written, is said.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ..store.records import ERROR_FD
from .columns import cells, pad
from .completion import module_paths
from .log_lines import Assembler, Record, last_lines, moment, records
from .output import emit_line, json_option, paint, tell, write
from .session import connected, connection_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..client.deployment import Deployment
    from ..status.status import Status
    from ..store.records import LogEntry

_COLOURS = ("cyan", "yellow", "green", "blue")


class Since(click.ParamType[float]):
    """A moment: how long ago, a date, or Unix seconds."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return Unix seconds."""
        if isinstance(value, float):
            return value
        try:
            return moment(str(value), time.time())
        except ValueError:
            self.fail(
                f"{value!r} is no time: give how long ago (90s, 10m, 2h30m, 1d), a date"
                " (2026-01-31T08:00) or Unix seconds",
                param,
                ctx,
            )


@click.command()
@click.argument("name", metavar="NAME[@GENERATION][/MODULE]", shell_complete=module_paths)
@click.argument("module", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the generation has ended.")
@click.option("--tail", "-n", type=click.IntRange(0), metavar="N", help="The last N lines only.")
@click.option("--since", type=Since(), metavar="TIME", help="From then on: 10m, 2h, or a date.")
@click.option("--timestamps", "-t", is_flag=True, help="Say when each line was written.")
@click.option("--errors", is_flag=True, help="Tracebacks and lines that say ERROR only.")
@json_option
@connection_options
def logs(
    name: str,
    module: str | None,
    follow: bool,
    tail: int | None,
    since: float | None,
    timestamps: bool,
    errors: bool,
    as_json: bool,
    redis_url: str | None,
    prefix: str | None,
) -> None:
    """Print what tasks and replicas wrote and raised: of MODULE (its path, or a task's id), or all.

    What `forward` and `setup` raised and why processes ended is part of it.
    """
    name, module = split_path(name, module)
    with connected(redis_url, prefix, name) as client:
        deployment = client.deployment(name)
        wanted = None if module is None else wanted_sources(deployment, module)
        _say_dropped(deployment)

        def entries(follow: bool) -> Iterator[LogEntry]:
            for each in deployment.logs(follow=follow):
                if since is not None and each.at < since:
                    continue
                if wanted is None or each.path in wanted or each.task in wanted:
                    yield each

        if as_json:
            _emit(entries(follow), tail, errors=errors)
            return
        printer = Printer(deployment, is_labelled=module is None, with_times=timestamps)
        if tail is None:
            _follow(printer, entries(follow), errors=errors)
            return
        kept = list(entries(False))
        chosen = (record for record in records(kept) if record.is_error or not errors)
        for record in last_lines(chosen, tail):
            printer.show(record)
        if follow:
            seen = kept[-1].id if kept else None
            _follow(printer, _after(entries(True), seen), errors=errors)


def split_path(name: str, module: str | None) -> tuple[str, str | None]:
    """Return deployment and module of `NAME[@GENERATION][/MODULE]`; raises UsageError for two."""
    name, slash, path = name.partition("/")
    if not slash:
        return name, module
    if module is not None:
        raise click.UsageError(f"{name}/{path} names a module already; what is {module!r}?")
    plain = name.partition("@")[0]
    return name, f"{plain}/{path}" if path else None


def wanted_sources(deployment: Deployment, module: str) -> set[str]:
    """Return the task id, or the paths of all modules that run as one with MODULE.

    These are the module itself and those below it that no other service stands above: a served
    module is a wrapper, and who names it means what it holds.
    """
    status = deployment.status()
    name = known_module(deployment, status, module)
    paths = {task.module for task in status.tasks if task.module}
    below = [s.service + "/" for s in status.services if s.service.startswith(name + "/")]
    inside = {path for path in paths if path.startswith(name + "/")}
    return {name} | {
        path for path in inside if not any((path + "/").startswith(service) for service in below)
    }


def known_module(deployment: Deployment, status: Status, module: str) -> str:
    """Return the module's whole path, or the task id. Raises UsageError with near names."""
    paths: list[str] = [task.module for task in status.tasks if task.module]
    paths += [service.service for service in status.services]
    known = list(dict.fromkeys([*paths, *(task.id for task in status.tasks)]))
    # What follows the deployment's name is enough, and so is a last part that is nobody else's.
    short = [path for path in dict.fromkeys(paths) if path.rpartition("/")[2] == module]
    meant = [module, f"{deployment.name}/{module}"] + (short if len(short) == 1 else [])
    for name in meant:
        if name in known:
            return name
    # A module without work of its own stands above some that have, or is part of a service.
    plan = deployment.plan()
    modules = set() if plan is None else set(plan.modules)
    for name in meant:
        if name in modules:
            inside = any(path.startswith(name + "/") for path in paths)
            return name if inside else _nearest_above(name, known)
    from ..settings import near

    nearest = near(module, known) or near(f"{deployment.name}/{module}", known)
    hint = f"did you mean {nearest!r}?" if nearest else f"see `rootward status {deployment.name}`"
    raise click.UsageError(f"{deployment.id} has no module {module!r}; {hint}")


def _nearest_above(path: str, known: Sequence[str]) -> str:
    while path and path not in known:
        path = path.rpartition("/")[0]
    return path


class Printer:
    """Writes records: behind the module that they are of, when there are several."""

    def __init__(self, deployment: Deployment, *, is_labelled: bool, with_times: bool) -> None:
        self._root = deployment.name
        self._is_labelled, self._with_times = is_labelled, with_times
        self._width = 0
        self._colours: dict[str, str] = {}

    def show(self, record: Record) -> None:
        """Write the lines of a record."""
        head = ""
        if self._is_labelled:
            label = record.path.removeprefix(f"{self._root}/") or record.source
            self._width = max(self._width, min(cells(label), 30))
            place = len(self._colours) % len(_COLOURS)
            colour = self._colours.setdefault(label, _COLOURS[place])
            head = paint(f"{pad(label, self._width)}  | ", colour, sys.stdout)
        if self._with_times:
            at = datetime.fromtimestamp(record.at).astimezone()
            head += paint(at.isoformat(timespec="milliseconds") + " ", "dim", sys.stdout)
        for line in record.lines:
            write(head + line)


def _follow(printer: Printer, entries: Iterable[LogEntry], *, errors: bool) -> None:
    assembler = Assembler()
    for entry in entries:
        for record in assembler.feed(entry):
            if record.is_error or not errors:
                printer.show(record)
    for record in assembler.finish():
        if record.is_error or not errors:
            printer.show(record)


def _after(entries: Iterator[LogEntry], seen: str | None) -> Iterator[LogEntry]:
    """Leave out what has been shown, up to the entry of that id."""
    for entry in entries:
        if seen is None or _place(entry.id) > _place(seen):
            yield entry


def _place(id_: str) -> tuple[int, int]:
    at, _, number = id_.partition("-")
    return int(at), int(number or 0)


def _say_dropped(deployment: Deployment) -> None:
    dropped = deployment.dropped_logs()
    if dropped:
        tell(f"{dropped} earlier pieces of output are gone: the last 10,000 are kept")


def _emit(entries: Iterable[LogEntry], tail: int | None, *, errors: bool) -> None:
    chosen = iter(each for each in entries if not errors or _holds_error(each))
    for entry in chosen if tail is None else deque(chosen, tail):
        emit_line(entry_json(entry))


def _holds_error(entry: LogEntry) -> bool:
    return any(record.is_error for record in records([entry]))


def entry_json(entry: LogEntry) -> dict[str, Any]:
    """Return a piece of output as `logs --json` and the API tell it."""
    return {
        "at": entry.at,
        "module": entry.path,
        "task": entry.task,
        "attempt": entry.attempt,
        "replica": entry.replica,
        "stream": "stdout" if entry.fd == 1 else "stderr",
        "error": entry.fd == ERROR_FD,
        "text": entry.text,
    }
