"""The command `events`: what happened to a deployment."""

from __future__ import annotations

import click

from .completion import deployment_names
from .output import emit_line, json_option, write
from .session import connected, connection_options


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
