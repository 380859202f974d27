"""The commands `events` and `logs`: what happened, and what was printed meanwhile."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .output import emit_line, json_option, paint, tell, write
from .session import connected, connection_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..client.deployment import Deployment
    from ..status.status import Status
    from ..store.records import LogEntry


@click.command()
@click.argument("name", metavar="NAME[@GENERATION]")
@click.option("--follow", "-f", is_flag=True, help="Go on until the generation has ended.")
@json_option
@connection_options
def events(
    name: str, follow: bool, as_json: bool, redis_url: str | None, prefix: str | None
) -> None:
    """Print what happened to a deployment, the oldest first."""
    from .view import line_of

    with connected(redis_url, prefix) as client:
        deployment = client.deployment(name)
        began: float | None = None
        for event in deployment.events(follow=follow):
            if as_json:
                emit_line(event.to_json())
                continue
            began = event.at if began is None else began
            write(line_of(event, deployment.id, event.at - began))


@click.command()
@click.argument("name", metavar="NAME[@GENERATION]")
@click.argument("module", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the generation has ended.")
@json_option
@connection_options
def logs(
    name: str,
    module: str | None,
    follow: bool,
    as_json: bool,
    redis_url: str | None,
    prefix: str | None,
) -> None:
    """Print what tasks and replicas wrote: of MODULE (its path, or a task's id), or of all."""
    with connected(redis_url, prefix) as client:
        deployment = client.deployment(name)
        found = deployment.logs(follow=follow)
        if module is not None:
            wanted = _wanted(deployment, module)
            found = (each for each in found if each.path in wanted or each.task in wanted)
        if as_json:
            for entry in found:
                emit_line(_entry_json(entry))
            return
        _print(found, labelled=module is None)


def _wanted(deployment: Deployment, module: str) -> set[str]:
    """Return the task id, or the paths of all modules that run as one with MODULE.

    These are the module itself and those below it that no other service stands above: a served
    module is a wrapper, and whoever names it means what it holds.
    """
    status = deployment.status()
    name = _known(deployment, status, module)
    paths = {task.module for task in status.tasks if task.module}
    below = [s.service + "/" for s in status.services if s.service.startswith(name + "/")]
    inside = {path for path in paths if path.startswith(name + "/")}
    return {name} | {
        path for path in inside if not any((path + "/").startswith(service) for service in below)
    }


def _known(deployment: Deployment, status: Status, module: str) -> str:
    """Return the module's whole path, or the task id. Raises UsageError that tells near names."""
    paths: list[str] = [task.module for task in status.tasks if task.module]
    paths += [service.service for service in status.services]
    known = list(dict.fromkeys([*paths, *(task.id for task in status.tasks)]))
    # What follows the deployment's name is enough, and so is a last part that is nobody else's.
    short = [path for path in dict.fromkeys(paths) if path.rpartition("/")[2] == module]
    meant = [module, f"{deployment.name}/{module}"] + (short if len(short) == 1 else [])
    for name in meant:
        if name in known:
            return name
    from ..settings import near

    nearest = near(module, known) or near(f"{deployment.name}/{module}", known)
    hint = f"did you mean {nearest!r}?" if nearest else f"see `rootward status {deployment.name}`"
    raise click.UsageError(f"{deployment.id} has no module {module!r}; {hint}")


def _print(found: Iterator[LogEntry], *, labelled: bool) -> None:
    """Write the text as it was written, under the name of whose it is when that changes."""
    last: str | None = None
    at_line_start = True
    for entry in found:
        source = entry.replica or entry.task or entry.path or ""
        if labelled and source != last:
            if not at_line_start:
                write("")
            tell(paint(f"== {entry.path or source} ({source})", "dim", sys.stderr))
            last = source
        write(entry.text, end="")
        at_line_start = entry.text.endswith("\n")
    if not at_line_start:
        write("")


def _entry_json(entry: LogEntry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "module": entry.path,
        "task": entry.task,
        "attempt": entry.attempt,
        "replica": entry.replica,
        "stream": "stderr" if entry.fd == 2 else "stdout",
        "text": entry.text,
    }
