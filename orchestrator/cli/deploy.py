"""The command `deploy`: submit TARGET to the workers of a Redis, and follow it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import emit_json, json_option, tell, verbose_option, write
from .session import connected, connection_options
from .target import (
    code_options,
    load,
    optional_target,
    plan_options,
    submit_options,
    takeover_options,
)

if TYPE_CHECKING:
    from ..change.pinned import PinnedPlan


@click.command()
@optional_target
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
@click.option("--changed", is_flag=True, help="Run only what differs from the current generation.")
@click.option(
    "--plan",
    "pinned",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Do what `plan --out FILE` has written, or refuse if anything has moved since.",
)
@click.option("--detach", "-d", is_flag=True, help="Return when the plan is stored.")
@json_option
@verbose_option
@connection_options
def deploy(
    target: str | None,
    name: str | None,
    kinds: tuple[str, ...],
    no_recursive: bool,
    pinned: Path | None,
    detach: bool,
    as_json: bool,
    verbose: bool,
    redis_url: str | None,
    prefix: str | None,
    **order: Any,
) -> int:
    """Submit TARGET as the next generation of its deployment, and follow it until it is ready.

    It outlives this command: end it with `rootward stop NAME`.
    """
    from .follow import follow, print_outcome, tell_scaled

    held = _held_to(pinned)
    if held is not None:
        target, name = target or held.target, name or held.name
        kinds, no_recursive = held.kinds, not held.recursive
    if target is None:
        raise click.UsageError("Missing argument 'TARGET'.")
    with connected(redis_url, prefix) as client:
        deployment = client.submit(
            load(target),
            name=name,
            kinds=kinds,
            recursive=not no_recursive,
            pinned=held,
            **order,
        )
        for line in deployment.reuse.lines() if deployment.reuse is not None else ():
            tell(line)
        tell_scaled(client, deployment)
        if deployment.reuse is not None and deployment.reuse.is_all:
            # What happened to it is long over.
            print_outcome(deployment, as_json=as_json)
            return 0
        if not detach:
            return follow(client, deployment, as_json=as_json, verbose=verbose)
        if as_json:
            emit_json(deployment.status().to_json())
        else:
            write(deployment.id)
            tell(f"follow it with `rootward status {deployment.name} --watch`")
    return 0


def _held_to(path: Path | None) -> PinnedPlan | None:
    from ..change.pinned import read_pinned

    return None if path is None else read_pinned(path)
