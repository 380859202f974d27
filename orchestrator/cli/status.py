"""The commands `status`, `deployments` and `workers`: what is going on, read once or watched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from ..status.documents import deployment_json, worker_json
from .follow import tell_current
from .output import duration, emit_json, emit_line, json_option, table, tell, write
from .session import connected, connection_options

if TYPE_CHECKING:
    from ..client.client import Client
    from ..client.deployment import Deployment
    from ..status.status import Status
    from ..store.records import AgentRecord, DeploymentRecord


@click.command()
@click.argument("name", metavar="[NAME[@GENERATION]]", required=False)
@click.option("--watch", "-w", is_flag=True, help="Go on showing what changes.")
@json_option
@connection_options
def status(
    name: str | None, watch: bool, as_json: bool, redis_url: str | None, prefix: str | None
) -> None:
    """Show one deployment with its modules, or all deployments in short.

    The exit code tells whether the answer is known, not whether the deployment is well.
    """
    if watch and name is None:
        raise click.UsageError("--watch needs the NAME of a deployment")
    with connected(redis_url, prefix) as client:
        if name is None:
            _show_all(client, as_json=as_json)
        elif watch:
            _watch(client.deployment(name), as_json=as_json)
        else:
            deployment = client.deployment(name)
            _show(deployment.status(), as_json=as_json)
            tell_current(client, deployment)


@click.command()
@json_option
@connection_options
def deployments(as_json: bool, redis_url: str | None, prefix: str | None) -> None:
    """List the deployments, the newest first."""
    with connected(redis_url, prefix) as client:
        found = client.deployments()
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


def _show_all(client: Client, *, as_json: bool) -> None:
    records = client.deployments()
    if as_json:
        emit_json([client.deployment(record.name).status().to_json() for record in records])
        return
    _print_deployments(records)
    alive = len(client.workers())
    tell(f"{alive or 'no'} worker{'' if alive == 1 else 's'} running")


def _print_deployments(records: list[DeploymentRecord]) -> None:
    if not records:
        tell("nothing is deployed: begin with `rootward deploy TARGET`")
    rows = []
    for record in records:
        shown = deployment_json(record)
        current = "-" if record.current is None else f"@{record.current}"
        age = duration(time.time() - shown["created_at"])
        rows.append(
            (
                f"{record.name}@{record.latest}",
                shown["state"] or "-",
                current,
                age,
                shown["reason"] or "",
            )
        )
    table(("DEPLOYMENT", "STATE", "CURRENT", "AGE", "REASON"), rows)


def _worker_row(record: AgentRecord) -> tuple[str, ...]:
    info = record.info
    resources = " ".join(f"{name}={amount:g}" for name, amount in sorted(info.resources.items()))
    return (
        info.worker,
        info.state,
        info.host or "-",
        str(info.pid or "-"),
        str(info.slots),
        str(record.held),
        resources or "-",
        info.version or "-",
    )


def _show(found: Status, *, as_json: bool) -> None:
    if as_json:
        emit_json(found.to_json())
        return
    from .board import Board

    reason = f": {found.reason}" if found.reason else ""
    write(f"{found.id} {found.state}{reason}")
    rows = [
        (
            row.label,
            f"{row.state} {row.detail}".strip() or "-",
            duration(row.seconds),
            row.worker or "-",
            row.url or "-",
        )
        for row in Board(found).rows(time.time())
    ]
    table(("MODULE", "STATE", "TIME", "WORKER", "URL"), rows)
    for service in found.services:
        for each in service.endpoints:
            if each.state == "draining" and each.reason:
                tell(f"{service.service}: {each.url} drains: it {each.reason}")
    for task in found.tasks:
        if task.state == "failed" and task.error is not None:
            tell(f"{task.id}: {task.error.get('type')}: {task.error.get('message')}")


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
