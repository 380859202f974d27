"""The command `promote`: make a canary the current generation."""

from __future__ import annotations

import click

from .completion import deployment_names
from .output import emit_json, json_option, write
from .session import connected, connection_options


@click.command()
@click.argument("name", metavar="NAME[@GENERATION]", shell_complete=deployment_names)
@json_option
@connection_options
def promote(name: str, as_json: bool, redis_url: str | None, prefix: str | None) -> None:
    """Give a deployment's canary all of the calls: it is current, and what was current stops."""
    with connected(redis_url, prefix, name) as client:
        deployment = client.promote(name)
        if as_json:
            emit_json(deployment.status().to_json())
        else:
            write(f"{deployment.id} is current")
