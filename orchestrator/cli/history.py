"""The commands `history` and `events`: a deployment's generations, and what happened to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from .completion import deployment_names
from .output import duration, emit_json, emit_line, json_option, table, tell, write
from .session import connected, connection_options

if TYPE_CHECKING:
    from ..status.history import HistoryEntry

HISTORY_HEADER = ("GENERATION", "STATE", "CURRENT", "AGE", "BY", "HOW", "CODE", "EVALUATIONS")
HISTORY_LEAST = (-1, -1, -1, -1, 8, -1, -1, 8)
_DIGITS = 8


@click.command()
@click.argument("name", shell_complete=deployment_names)
@json_option
@connection_options
def history(name: str, as_json: bool, redis_url: str | None, prefix: str | None) -> None:
    """List the generations of a deployment, the newest first."""
    with connected(redis_url, prefix, name) as client:
        found = client.history(name)
        if as_json:
            emit_json([each.to_json() for each in found])
            return
        if not found:
            tell(f"of {name} no generation is kept any more")
        now = time.time()
        rows = [history_row(name, each, now) for each in found]
        table(HISTORY_HEADER, rows, least=HISTORY_LEAST)


def history_row(name: str, entry: HistoryEntry, now: float) -> tuple[str, ...]:
    """Return the row of a generation of `name`, as HISTORY_HEADER names its cells."""
    from .summary import value_of

    # Each path begins with the deployment's name, which is known.
    evaluations = [
        f"{each.module.removeprefix(f'{name}/')} {each.measure or 'result'}={value_of(each)}"
        for each in entry.evaluations
    ]
    return (
        f"@{entry.generation}",
        entry.state,
        "yes" if entry.current else "can be" if entry.can_roll_back else "-",
        duration(now - entry.created_at),
        entry.by or "-",
        entry.how if entry.source is None else f"{entry.how} (@{entry.source})",
        (entry.digest or "-")[:_DIGITS],
        ", ".join(evaluations) or "-",
    )


@click.command()
@click.argument("name", metavar="NAME[@GENERATION]", shell_complete=deployment_names)
@click.option("--follow", "-f", is_flag=True, help="Go on until the generation has ended.")
@json_option
@connection_options
def events(
    name: str, follow: bool, as_json: bool, redis_url: str | None, prefix: str | None
) -> None:
    """Print what happened to a deployment, the oldest first."""
    from .view import line_of

    with connected(redis_url, prefix, name) as client:
        deployment = client.deployment(name)
        began: float | None = None
        for event in deployment.events(follow=follow):
            if as_json:
                emit_line(event.to_json())
                continue
            began = event.at if began is None else began
            write(line_of(event, deployment.id, event.at - began))
