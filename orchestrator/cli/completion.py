"""The command `completion`, and the names that it completes: deployments, modules, services.

A shell asks at each press of a key, so an answer is given quickly or not at all: without a Redis,
or with one that doesn't answer, there are no names, and never an error in the middle of a line.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from .output import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

    from ..client.client import Client

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_ROOTWARD_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands, options and names of what is deployed.

    For bash: eval "$(rootward completion bash)" in ~/.bashrc; for zsh the same in ~/.zshrc; for
    fish: rootward completion fish > ~/.config/fish/completions/rootward.fish
    """
    from click.shell_completion import get_completion_class

    from .root import cli

    found = get_completion_class(shell)
    assert found is not None
    maker = found(cli, {}, "rootward", VARIABLE)
    # Not `source()`, which runs bash to ask for its version.
    write(maker.source_template % maker.source_vars(), end="")


def deployment_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of deployments that begin like this."""
    del param
    return _ask(ctx, incomplete, lambda client: [record.name for record in client.deployments()])


def module_paths(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return names of deployments and, behind a slash, the paths of their modules."""
    name, slash, _ = incomplete.partition("/")
    if not slash:
        return deployment_names(ctx, param, incomplete)

    def paths(client: Client) -> list[str]:
        return sorted({task.module or "" for task in client.deployment(name).status().tasks})

    return _ask(ctx, incomplete, paths)


def service_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the services that begin like this."""
    del param
    return _ask(ctx, incomplete, lambda c: [each.service for each in c.gateway.services()])


def targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a file."""
    from click.shell_completion import CompletionItem

    del ctx, param
    return [CompletionItem(incomplete, type="file")]


def _ask(ctx: click.Context, incomplete: str, names: Callable[[Client], list[str]]) -> list[str]:
    """Return the names that begin like this; none when nobody can tell."""
    from .session import connected

    given = ctx.params
    opened = connected(given.get("redis_url"), given.get("prefix"), incomplete)
    with contextlib.suppress(Exception), opened as client:
        return [name for name in names(client) if name.startswith(incomplete)]
    return []
