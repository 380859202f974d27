"""The commands `status`, `deployments` and `workers`: what is going on, read once or watched."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import click

from rootward.modules.needs.resources import resources_text

from ..status.documents import deployment_json, devices_text, worker_json
from .board import Board
from .choice import (
    DEPLOYMENT_HEADER,
    DEPLOYMENT_LEAST,
    FAILED_STATES,
    NOTHING_DEPLOYED,
    Choice,
    deployment_rows,
)
from .completion import deployment_names
from .follow import print_evaluations, print_scaling, print_sharing, tell_current
from .output import (
    emit_json,
    emit_line,
    json_option,
    table,
    tell,
    terminal_height,
    terminal_width,
    verbose_option,
    write,
    write_lines,
)
from .picture import row_lines
from .session import connected, connection_options
from .tree_rows import Row, fold, keep

if TYPE_CHECKING:
    from ..client.client import Client
    from ..client.deployment import Deployment
    from ..status.status import Status
    from ..store.records import AgentRecord, DeploymentRecord
    from .picture import Line

LEAST_LINES = 20
MOST_LINES = 100
"""Modules of the largest tree that is written whole into a pipe."""
MOST_FAILURES = 10


@click.command()
@click.argument(
    "name", metavar="[NAME[@GENERATION]]", required=False, shell_complete=deployment_names
)
@click.option("--watch", "-w", is_flag=True, help="Go on showing what changes.")
@click.option("--failed", is_flag=True, help="Only what failed, with its ancestors.")
@click.option("--waiting", is_flag=True, help="Only what waits or is queued, with its ancestors.")
@click.option(
    "--depth", type=click.IntRange(0), metavar="N", help="At most N levels below the root."
)
@json_option
@verbose_option
@connection_options
def status(
    name: str | None,
    watch: bool,
    failed: bool,
    waiting: bool,
    depth: int | None,
    as_json: bool,
    verbose: bool,
    redis_url: str | None,
    prefix: str | None,
) -> None:
    """Show one deployment with its modules, or all deployments in short.

    The exit code tells whether the answer is known, not whether the deployment is well.
    """
    chosen = Choice.of(failed=failed, waiting=waiting, depth=depth, verbose=verbose)
    with connected(redis_url, prefix, name) as client:
        if name is None and watch:
            from .overview import watch_all

            watch_all(client, chosen, as_json=as_json)
        elif name is None:
            show_all(client, chosen, as_json=as_json)
        elif watch:
            _watch(client.deployment(name), as_json=as_json)
        else:
            deployment = client.deployment(name)
            _show(deployment.status(), chosen, as_json=as_json)
            tell_current(client, deployment)


@click.command()
@json_option
@connection_options
def deployments(as_json: bool, redis_url: str | None, prefix: str | None) -> None:
    """List the deployments, the newest first."""
    with connected(redis_url, prefix) as client:
        found = client.deployments()
        _tell_loss(client)
        if as_json:
            emit_json([deployment_json(record) for record in found])
        else:
            _print_deployments(found)


@click.command()
@json_option
@connection_options
def workers(as_json: bool, redis_url: str | None, prefix: str | None) -> None:
    """List the live workers."""
    with connected(redis_url, prefix) as client:
        found = client.workers()
        if as_json:
            emit_json([worker_json(record) for record in found])
            return
        if not found:
            tell("no worker is running: start one with `rootward worker`")
        table(
            ("WORKER", "STATE", "HOST", "PID", "SLOTS", "HELD", "RESOURCES", "VERSION"),
            [_worker_row(record) for record in found],
        )
        for record in found:
            if devices := devices_text(record.info):
                write(f"{record.info.worker}: {devices}")


def show_all(client: Client, chosen: Choice, *, as_json: bool) -> None:
    """Print all deployments that are chosen, and how many workers live."""
    records = [each for each in client.deployments() if chosen.takes(str(each.state))]
    _tell_loss(client)
    if as_json:
        emit_json([client.deployment(record.name).status().to_json() for record in records])
        return
    _print_deployments(records, is_limited=chosen.is_limited)
    alive = len(client.workers())
    tell(f"{alive or 'no'} worker{'' if alive == 1 else 's'} running")


def _tell_loss(client: Client) -> None:
    from ..status.lost_data import told

    if (lost := told(client.store)) is not None:
        tell(lost)


def _print_deployments(records: list[DeploymentRecord], *, is_limited: bool = False) -> None:
    if not records:
        none = "no deployment is in such a state" if is_limited else NOTHING_DEPLOYED
        tell(none)
    table(DEPLOYMENT_HEADER, deployment_rows(records, time.time()), least=DEPLOYMENT_LEAST)


def _worker_row(record: AgentRecord) -> tuple[str, ...]:
    info = record.info
    return (
        info.worker,
        info.state,
        info.host or "-",
        str(info.pid or "-"),
        str(info.slots),
        str(record.held),
        resources_text(info.resources) or "-",
        info.version or "-",
    )


def _show(found: Status, chosen: Choice, *, as_json: bool) -> None:
    if as_json:
        emit_json(chosen.tasks(found).to_json())
        return
    reason = f": {found.reason}" if found.reason else ""
    write(f"{found.id} {found.state}{reason}")
    width = terminal_width(sys.stdout)
    now = found.ended_at or time.time()
    write_lines(status_lines(found, chosen, now, width=width, height=terminal_height() - 4))
    write("")
    print_evaluations(found.evaluations)
    print_sharing(found.sharing)
    print_scaling(found.services)
    for service in found.services:
        for each in service.endpoints:
            if each.state == "draining" and each.reason:
                tell(f"{service.service}: {each.url} drains: it {each.reason}")
    _tell_failed(found, chosen)


def status_lines(
    found: Status, chosen: Choice, now: float, *, width: int | None, height: int
) -> list[Line]:
    """Return the modules in the shape of the tree, as many as are asked for and fit.

    Without a `width` they go into a pipe: of a large tree it gets what failed alone.
    """
    rows, hidden = Board(found).rows(now), Counter[str]()
    if chosen.is_limited:
        # What has no work shows only above what has.
        rows, hidden = keep(rows, lambda row: _is_chosen(row, chosen), depth=chosen.depth)
    more = Counter[str]()
    if not chosen.is_whole and not chosen.states:
        if width is not None:
            rows, more = fold(rows, max(LEAST_LINES, height))
        elif len(rows) > MOST_LINES:
            rows, more = keep(rows, lambda row: row.state in FAILED_STATES)
    header = Row(name="MODULE", path="", state="STATE", worker="WORKER", urls=("URL",))
    hint = "" if chosen.is_limited else "; all of them: --verbose"
    lines = row_lines([header, *rows], hidden + more, width=width, with_urls=True, hint=hint)
    return [[(word, "dim") for word, _ in lines[0]], *lines[1:]]


def _is_chosen(row: Row, chosen: Choice) -> bool:
    return chosen.states is None or row.state in chosen.states


def _tell_failed(found: Status, chosen: Choice) -> None:
    failed = [task for task in found.tasks if task.state == "failed" and task.error is not None]
    shown = failed if chosen.is_whole else failed[:MOST_FAILURES]
    for task in shown:
        error = task.error or {}
        message = error.get("message") or ""
        first = message if chosen.is_whole else (message.splitlines() or [""])[0]
        tell(f"{task.id}: {error.get('type')}: {first}")
    if len(failed) > len(shown):
        tell(f"... and {len(failed) - len(shown)} more failed: --verbose")
    if failed:
        tell(f"tracebacks and output: rootward logs {found.deployment} --errors")


def _watch(deployment: Deployment, *, as_json: bool) -> None:
    """Show every change until the generation has ended, or Ctrl-C."""
    if as_json:
        emit_line(deployment.status().to_json())
        # The stream is read from here on: what is known already is in the first line.
        after = "0"
        for event in deployment.events(follow=False):
            after = event.id
        for _ in deployment.events(follow=True, after=after):
            emit_line(deployment.status().to_json())
        return
    from .view import view_of

    with view_of(deployment) as view:
        for event in deployment.events(follow=True):
            view.see(event)
