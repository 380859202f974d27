"""The command `plan`: what a deployment of TARGET would do; it needs no Redis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import emit_json, json_option, tell, write
from .session import connected, connection_options, settings_of
from .target import code_options, load, plan_options

if TYPE_CHECKING:
    from ..change.difference import Difference
    from ..change.pinned import PinnedPlan
    from ..client.client import Client
    from ..planning.definition import Definition
    from ..planning.plan import Plan


@click.command()
@plan_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["tree", "json", "mermaid"]),
    default="tree",
    help="How to show it.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it down for `deploy --plan FILE`.",
)
@click.option("--bundle", is_flag=True, help="Show which files of the project go along.")
@code_options
@json_option
@connection_options
def plan(
    target: str,
    name: str | None,
    kinds: tuple[str, ...],
    no_recursive: bool,
    form: str,
    out: Path | None,
    bundle: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    as_json: bool,
    redis_url: str | None,
    prefix: str | None,
) -> None:
    """Show the tasks that a deployment of TARGET would run, and what waits for what.

    Where a Redis is reached, each module that differs from the current generation is marked.
    """
    from rootward.modules.code.collection import Wishes

    from ..planning.collect import plan_tree
    from ..planning.definition import Definition

    wishes = Wishes(include=include, exclude=exclude)
    definition = Definition.of(load(target), name=name, wishes=wishes)
    if bundle:
        from ..settings import Settings
        from .bundle import show_bundle

        limit = Settings.from_environment().bundle_limit
        show_bundle(definition, limit, as_json=as_json or form == "json")
        return
    made = plan_tree(definition.tree, kinds, recursive=not no_recursive)
    if out is not None:
        with connected(redis_url, prefix, definition.tree.name) as client:
            pinned = pin(client, definition, made, target, recursive=not no_recursive, kinds=kinds)
        pinned.write(out)
        tell(f"written to {out}: `rootward deploy --plan {out}` does this, or refuses")
    if as_json or form == "json":
        emit_json(made.to_json())
    elif form == "mermaid":
        write(made.to_mermaid())
    else:
        _draw(made, _difference(definition, redis_url, prefix))


def _draw(made: Plan, found: Difference | None) -> None:
    from ..planning.plan_text import draw

    write(draw(made, {} if found is None else marks_of(found)))
    if found is not None and found.generation is not None:
        for path in found.removed:
            write(f"- {path}  removed")
        tell(f"marked: what differs from {found.name}@{found.generation}")


def pin(
    client: Client,
    definition: Definition,
    made: Plan,
    target: str,
    *,
    recursive: bool,
    kinds: tuple[str, ...],
) -> PinnedPlan:
    """Return the plan with the world that it is made for."""
    from ..change.difference import current_identity
    from ..change.pinned import PinnedPlan

    number, current = current_identity(client.store, client.signer, made.deployment)
    return PinnedPlan(
        target=target,
        name=made.deployment,
        kinds=kinds,
        recursive=recursive,
        generation=number,
        current="" if current is None else current.digest,
        identity=definition.identify(client.settings.bundle_limit),
        tasks=tuple(task.to_json() for task in made.tasks),
    )


def marks_of(found: Difference) -> dict[str, str]:
    """Return what is said of each module that isn't as it is in the current generation."""
    if found.generation is None:
        return {}
    return {
        each.path: f"[{each.mark}{': ' if each.reasons else ''}{'; '.join(each.reasons)}]"
        for each in found.modules
        if each.mark != "unchanged"
    }


def _difference(
    definition: Definition, redis_url: str | None, prefix: str | None
) -> Difference | None:
    """Compare with what is deployed if that can be had at once; None where it can't."""
    from ..errors import NoRedis

    settings = settings_of(redis_url, prefix, definition.tree.name)
    if settings.redis_url is None or settings.secret is None:
        return None
    from rootward.modules.errors import RootwardError

    from ..change.difference import compare
    from ..client.client import Client

    try:
        client = Client(settings)
    except NoRedis:
        return None
    try:
        identity = definition.identify(settings.bundle_limit)
        return compare(client.store, client.signer, definition.tree.name, identity)
    except RootwardError as error:
        tell(f"not compared with what is deployed: {error}")
        return None
    finally:
        client.close()
