"""All deployments and workers at a glance, kept up to date: `status --watch` without a name.

Once a second everything is read; it is drawn in place on a terminal, and elsewhere written again
when something has changed. It runs until Ctrl-C.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from threading import Event as Ending
from typing import TYPE_CHECKING, Any

from rootward.modules.needs.resources import resources_text

from ..status.documents import deployment_json, worker_json
from .choice import DEPLOYMENT_HEADER, DEPLOYMENT_LEAST, NOTHING_DEPLOYED, deployment_rows
from .columns import pad, shorten_middle, widths
from .output import STATE_COLOURS, emit_line, terminal_width, write
from .picture import Line, as_text, plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client.client import Client
    from ..store.records import AgentRecord, DeploymentRecord
    from .choice import Choice

PERIOD_S = 1.0
_WORKER_HEADER = ("WORKER", "STATE", "HELD", "SLOTS", "RESOURCES")
_WORKER_LEAST = (12, -1, -1, -1, 10)


def watch_all(client: Client, chosen: Choice, *, as_json: bool) -> None:
    """Show what is deployed and who works, until Ctrl-C."""
    shown: Any = None
    ending, live = Ending(), None if as_json else _live()
    with live or nullcontext():
        while True:
            records = [each for each in client.deployments() if chosen.takes(str(each.state))]
            agents = client.workers()
            if live is not None:
                width = terminal_width(sys.stdout)
                live.update(
                    as_text(overview_lines(records, agents, time.time(), width)), refresh=True
                )
            else:
                # Ages and leases change all the time, and nobody waits for that.
                document = _document(records, agents)
                if document != shown:
                    shown = document
                    if as_json:
                        emit_line(document)
                    else:
                        write(plain_text(overview_lines(records, agents, time.time(), None)) + "\n")
            ending.wait(PERIOD_S)


def overview_lines(
    records: Sequence[DeploymentRecord],
    agents: Sequence[AgentRecord],
    now: float,
    width: int | None,
) -> list[Line]:
    """Return the deployments, the newest first, and the workers, as lines of styled text."""
    lines = _columns(DEPLOYMENT_HEADER, deployment_rows(records, now), DEPLOYMENT_LEAST, width)
    if not records:
        lines = [[(NOTHING_DEPLOYED, "dim")]]
    rows = [_worker_row(agent) for agent in agents]
    lines.append([("", "")])
    if rows:
        return lines + _columns(_WORKER_HEADER, rows, _WORKER_LEAST, width)
    return [*lines, [("no worker is running: start one with `rootward worker`", "yellow")]]


def _columns(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    least: Sequence[int],
    width: int | None,
) -> list[Line]:
    found = widths([header, *rows], width, least)
    lines: list[Line] = []
    for number, row in enumerate([header, *rows]):
        texts = [pad(shorten_middle(c, w), w) + "  " for c, w in zip(row, found, strict=True)]
        styles = ["dim" if number == 0 else STATE_COLOURS.get(cell, "") for cell in row]
        lines.append(list(zip(texts, styles, strict=True)))
    return lines


def _worker_row(record: AgentRecord) -> tuple[str, ...]:
    resources = resources_text(record.resources) or "-"
    return (record.worker, record.state, str(record.held), str(record.slots), resources)


def _document(
    records: Sequence[DeploymentRecord], agents: Sequence[AgentRecord]
) -> dict[str, list[dict[str, Any]]]:
    workers = [worker_json(agent) for agent in agents]
    for worker in workers:
        del worker["lease_ms"]
    return {"deployments": [deployment_json(record) for record in records], "workers": workers}


def _live() -> Any:
    """Return rich's live display on a terminal, else None."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop")
