"""Statuses and services as tables of HTML, for notebooks: plain, escaped, without scripts."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .status import ServiceStatus, Status

MOST_ROWS = 200


def status_html(status: Status) -> str:
    """Return a deployment with its modules and services."""
    reason = f": {escape(status.reason)}" if status.reason else ""
    head = f"<p><b>{escape(status.id)}</b> {escape(status.state)}{reason}</p>"
    tasks = [task for task in status.tasks if task.kind != "join"]
    rows = [(task.module or "", task.kind, task.state, task.worker or "") for task in tasks]
    body = table_html(("module", "task", "state", "worker"), rows)
    return head + body + (services_html(status.services) if status.services else "")


def services_html(services: Iterable[ServiceStatus]) -> str:
    """Return services, a row for each replica."""
    rows = [
        (service.service, endpoint.state, endpoint.url, endpoint.worker)
        for service in services
        for endpoint in service.endpoints
    ]
    rows += [(s.service, s.state, "", "") for s in services if not s.endpoints]
    return table_html(("service", "state", "address", "worker"), rows)


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts, of a long one the first rows."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows[:MOST_ROWS]]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    more = f"<p>and {len(rows) - MOST_ROWS} more</p>" if len(rows) > MOST_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
