"""Groups of commands whose files are imported when they are used, and near names for typing errors.

A lazy group knows each command's name, home and one-line help from a table, so showing the help
costs no import. An alias works like its command and isn't listed.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Mapping


_NEGATIVE = re.compile(r"-(?:\d|\.\d|Infinity)")


class Entry(NamedTuple):
    """Where a command lives (`module:attribute` below this package) and what its help says."""

    home: str
    help: str


class TakesNumbers(click.Command):
    """A command whose arguments may be negative numbers: `-5` is no option of it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; a space before a number keeps click from seeing an option."""
        return super().parse_args(ctx, [f" {a}" if _NEGATIVE.match(a) else a for a in args])


class LazyGroup(click.Group):
    """A group that imports a command at its first use."""

    def __init__(
        self,
        *args: Any,
        entries: Mapping[str, Entry],
        aliases: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._entries = entries
        self._aliases = aliases or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name, or of that alias."""
        del ctx
        entry = self._entries.get(self._aliases.get(cmd_name, cmd_name))
        if entry is None:
            return None
        home, _, attribute = entry.home.partition(":")
        command: click.Command = getattr(import_module(f".{home}", __package__), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is an error that tells the nearest name."""
        name = args[0]
        if name.startswith("-") or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        from ..settings import near

        nearest = near(name, [*self._entries, *self._aliases])
        hint = f"Did you mean {nearest!r}?" if nearest else f"See `{ctx.command_path} --help`."
        raise click.UsageError(f"There is no command {name!r}. {hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, without importing any."""
        del ctx
        rows = [(name, entry.help) for name, entry in self._entries.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
