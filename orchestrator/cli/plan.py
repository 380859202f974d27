"""The command `plan`: what a deployment of TARGET would do, without any Redis."""

from __future__ import annotations

import click

from .output import emit_json, json_option, write
from .target import code_options, load, plan_options


@click.command()
@plan_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["tree", "json", "mermaid"]),
    default="tree",
    help="How to show it.",
)
@click.option("--bundle", is_flag=True, help="Show which files of the project go along.")
@code_options
@json_option
def plan(
    target: str,
    name: str | None,
    kinds: tuple[str, ...],
    no_recursive: bool,
    form: str,
    bundle: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show the tasks that a deployment of TARGET would run, and what waits for what."""
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
    if as_json or form == "json":
        emit_json(made.to_json())
    elif form == "mermaid":
        write(made.to_mermaid())
    else:
        write(str(made))
