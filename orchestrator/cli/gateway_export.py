"""The command `gateway export`: the registry written out for proxies that follow Redis."""

from __future__ import annotations

import logging

import click

from ..log_format import log_as_text
from .output import tell
from .session import connected, connection_options


@click.command()
@click.argument("proxy", type=click.Choice(["traefik"]))
@click.option("--follow", "-f", is_flag=True, help="Go on writing every change, until Ctrl-C.")
@click.option(
    "--root", default="traefik", metavar="WORD", help="What its keys begin with (traefik)."
)
@connection_options
def export(proxy: str, follow: bool, root: str, redis_url: str | None, prefix: str | None) -> None:
    """Write the services of the current generations where PROXY finds them, into the same Redis."""
    from ..gateway import traefik

    log_as_text(logging.WARNING)

    def told(services: int, keys: int) -> None:
        if keys or not follow:
            tell(f"{services} services for {proxy}: {keys} keys written or removed")

    with connected(redis_url, prefix) as client:
        traefik.export(client, root=root, follow=follow, told=told)
