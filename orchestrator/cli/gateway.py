"""The commands below `gateway`: the registry of services, and calls through it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ..status.places import users_line
from .completion import service_names
from .failures import FAILED
from .group import Entry, LazyGroup, TakesNumbers
from .output import (
    StdoutClosed,
    emit_json,
    emit_line,
    json_option,
    paint,
    tell,
    verbose_option,
    write,
)
from .session import connected, connection_options

if TYPE_CHECKING:
    from ..store.records import Change

COMMANDS = {
    "list": Entry("gateway:list_services", "List the services of the current generations."),
    "get": Entry("gateway:get", "Show one service with its replicas."),
    "call": Entry("gateway:call", "Call a service and print the result as JSON."),
    "watch": Entry("gateway:watch", "Print each change of the registry as it comes."),
    "serve": Entry("gateway_serve:serve", "Serve HTTP in front of all services, and a dashboard."),
    "export": Entry("gateway_export:export", "Write the registry out for another proxy."),
}


@click.group(cls=LazyGroup, entries=COMMANDS, aliases={"ls": "list"})
def gateway() -> None:
    """Look into the registry of services, and call them.

    A SERVICE is a module's path, for example search/embedder.
    """


@click.command("list")
@json_option
@connection_options
def list_services(as_json: bool, redis_url: str | None, prefix: str | None) -> None:
    """List the services of the current generations, with all their live replicas."""
    from .follow import print_services

    with connected(redis_url, prefix) as client:
        services = client.gateway.services()
        if as_json:
            emit_json([service.to_json() for service in services])
            return
        if not services:
            tell("nothing is served at the moment")
        print_services(services)


@click.command()
@click.argument("service", shell_complete=service_names)
@json_option
@connection_options
def get(service: str, as_json: bool, redis_url: str | None, prefix: str | None) -> None:
    """Show one service with its live replicas."""
    from .follow import print_services

    with connected(redis_url, prefix, service) as client:
        found = client.gateway.service(service)
        if as_json:
            emit_json(found.to_json())
        else:
            print_services([found])


@click.command(cls=TakesNumbers)
@click.argument("service", shell_complete=service_names)
@click.argument("values", metavar="[JSON]...", nargs=-1)
@click.option("--args", "args", metavar="JSON", help="A list: the positional arguments.")
@click.option("--kwargs", "kwargs", metavar="JSON", help="An object: the keyword arguments.")
@click.option("--stream", is_flag=True, help="Print each item of a stream on a line of its own.")
@click.option(
    "--hold",
    type=click.FloatRange(0),
    default=10.0,
    metavar="SECONDS",
    help="How long to wait for a replica that is on its way (default: 10).",
)
@click.option(
    "--generation",
    type=click.IntRange(1),
    metavar="G",
    help="Call this generation: a canary, say.",
)
@verbose_option
@click.option("--json", "as_json", is_flag=True, hidden=True, help="Results are always JSON.")
@connection_options
def call(
    service: str,
    values: tuple[str, ...],
    args: str | None,
    kwargs: str | None,
    stream: bool,
    hold: float,
    generation: int | None,
    verbose: bool,
    as_json: bool,
    redis_url: str | None,
    prefix: str | None,
) -> int:
    """Call SERVICE with JSON values (`-`: read from standard input), and print the result.

    Each JSON is one argument of its `forward`; without any it is called without arguments.
    """
    from rootward.modules.errors import RemoteError

    from ..errors import OrchestratorError

    del as_json
    arguments, keywords = _arguments(values, args, kwargs)
    with connected(redis_url, prefix, service) as client:
        # An unknown service is told before anything is sent.
        if generation is None:
            client.gateway.service(service)
        try:
            ask = client.gateway.stream if stream else client.gateway.call
            result = ask(service, *arguments, hold=hold, generation=generation, **keywords)
            # What streams by itself needs no option.
            for item in result if isinstance(result, Iterator) else [result]:
                emit_line(item)
        except Exception as error:
            ours = isinstance(error, (OrchestratorError, StdoutClosed))
            if ours and not isinstance(error, RemoteError):
                raise
            # What `forward` raised comes back as it was: any type at all.
            _tell_raised(service, error, verbose=verbose)
            return FAILED
    return 0


@click.command()
@json_option
@connection_options
def watch(as_json: bool, redis_url: str | None, prefix: str | None) -> None:
    """Print each change of the registry as it comes, until Ctrl-C."""
    with connected(redis_url, prefix) as client:
        for change in client.gateway.watch():
            if as_json:
                emit_line(change_json(change))
            else:
                write(_change_line(change))


def change_json(change: Change) -> dict[str, Any]:
    """Return a change as `gateway watch --json` prints it."""
    record = change.record
    return {
        "change": change.op,
        "deployment": change.name,
        "generation": change.generation,
        "service": change.path,
        "replica": change.replica,
        "state": None if record is None else str(record.state),
        "url": None if record is None else record.url or None,
        "worker": None if record is None else record.worker or None,
    }


def _change_line(change: Change) -> str:
    of = f"{change.name}@{change.generation}"
    record = change.record
    if record is None:
        what = f"{change.path or of} {change.op}"
    else:
        what = f"{change.path} {record.state} {record.url or '-'} on {record.worker}"
    return f"{of}  {what}  {change.replica or ''}".rstrip()


def _arguments(
    values: tuple[str, ...], args: str | None, kwargs: str | None
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call; raises UsageError for what is no JSON, or of another kind."""
    positional = [_value_of(text) for text in values]
    if args is not None:
        given = _value_of(args)
        if not isinstance(given, list):
            raise click.UsageError(f"--args takes a JSON list, not {_short(args)}")
        positional += given
    keywords = {} if kwargs is None else _value_of(kwargs)
    if not isinstance(keywords, dict):
        raise click.UsageError(f"--kwargs takes a JSON object, not {_short(kwargs or '')}")
    return positional, keywords


def _value_of(text: str) -> Any:
    if text == "-":
        text = sys.stdin.read()
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(
            f"{_short(text)} is no JSON ({error}); a text needs its quotes: '\"{_short(text)}\"'"
        ) from error


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _tell_raised(service: str, error: Exception, *, verbose: bool) -> None:
    """Tell what the module raised, with the line of the user's where it did."""
    from rootward.modules.errors import RemoteError
    from rootward.modules.state.exceptions import message_of, traceback_of, type_of

    name, said = type_of(error), message_of(error)
    if isinstance(error, RemoteError):
        # Its class can't be imported here; its name and words have come all the same.
        name, said, traceback = error.type_name, error.message, error.remote_traceback
    else:
        traceback = traceback_of(error)
    tell(f"{paint('error:', 'red', sys.stderr)} {service} raised {name}: {said}")
    if verbose:
        tell(traceback.rstrip())
    elif place := users_line(traceback):
        tell(f"  at {place}")
