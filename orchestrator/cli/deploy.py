"""The command `deploy`: submit TARGET to the workers of a Redis, and follow it."""

from __future__ import annotations

from typing import Any

import click

from .output import emit_json, json_option, tell, verbose_option, write
from .session import connected, connection_options
from .target import code_options, load, plan_options, submit_options, takeover_options


@click.command()
@plan_options
@submit_options
@code_options
@takeover_options
@click.option(
    "--keep",
    type=click.IntRange(0),
    metavar="N",
    help="Keep the last N generations to roll back to, however old they are.",
)
@click.option("--detach", "-d", is_flag=True, help="Return when the plan is stored.")
@json_option
@verbose_option
@connection_options
def deploy(
    target: str,
    name: str | None,
    kinds: tuple[str, ...],
    no_recursive: bool,
    by_value: bool | None,
    bundle: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    timeout: float | None,
    retries: int,
    keep: int | None,
    detach: bool,
    as_json: bool,
    verbose: bool,
    redis_url: str | None,
    prefix: str | None,
    **takeover: Any,
) -> int:
    """Submit TARGET as the next generation of its deployment, and follow it until it is ready.

    It outlives this command: end it with `rootward stop NAME`.
    """
    from .follow import follow, tell_scaled

    with connected(redis_url, prefix) as client:
        deployment = client.submit(
            load(target),
            name=name,
            kinds=kinds,
            recursive=not no_recursive,
            timeout=timeout,
            retries=retries,
            by_value=by_value,
            include=include,
            exclude=exclude,
            bundle=bundle,
            keep=keep,
            **takeover,
        )
        tell_scaled(client, deployment)
        if not detach:
            return follow(client, deployment, as_json=as_json, verbose=verbose)
        if as_json:
            emit_json(deployment.status().to_json())
        else:
            write(deployment.id)
            tell(f"follow it with `rootward status {deployment.name} --watch`")
    return 0
