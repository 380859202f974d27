"""The command `gateway serve`: the registry as a door, one HTTP address for all services."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from ..log_format import log_as_text
from .output import tell
from .session import connected, connection_options


@click.command()
@click.option("--host", default="127.0.0.1", metavar="ADDR", help="Where it listens (127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, help="The port (8080).")
@click.option(
    "--hold",
    type=click.FloatRange(0),
    default=10.0,
    metavar="SECONDS",
    help="How long a call may wait for a replica that is on its way (10).",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=1000,
    metavar="N",
    help="Calls of one service at once; more are told to come back (1000).",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=30.0,
    metavar="SECONDS",
    help="How long calls under way may take after SIGTERM (30).",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Another name that callers may know it by; may be given again.",
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Holds the token; made if missing (~/.local/state/rootward/gateway-token).",
)
@connection_options
def serve(
    host: str,
    port: int,
    hold: float,
    concurrency: int,
    grace: float,
    hosts: tuple[str, ...],
    token_file: Path | None,
    redis_url: str | None,
    prefix: str | None,
) -> None:
    """Serve HTTP in front of all services, with a dashboard, until SIGTERM, which drains.

    On loopback calls and reading need no token; elsewhere everything does. Changes always do.
    """
    from ..gateway import Limits, tokens
    from ..gateway.serve import ServeOptions, run

    log_as_text(logging.INFO)
    path = token_file or tokens.default_path()
    plan = ServeOptions(
        host=host,
        port=port,
        token=tokens.load(path),
        hosts=hosts,
        limits=Limits(hold_s=hold, concurrency=concurrency, grace_s=grace),
    )

    def ready(url: str) -> None:
        tell(f"the gateway listens at {url} (dashboard: {url}/, token: in {path})")

    with connected(redis_url, prefix) as client:
        try:
            run(client, plan, ready)
        except OSError as error:
            raise click.ClickException(f"{host}:{port} can't be had: {error}") from error
