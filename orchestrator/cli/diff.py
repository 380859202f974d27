"""The command `diff`: what a deploy of TARGET would change against the current generation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from .completion import targets
from .failures import FAILED, USAGE, present
from .output import emit_json, json_option, paint, tell, verbose_option, write
from .session import connected, connection_options
from .target import code_options, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..change.difference import Difference

SIGNS: Final = {"added": "+", "removed": "-", "changed": "~", "unchanged": " "}
_COLOURS: Final = {"added": "green", "removed": "red", "changed": "yellow", "unchanged": None}


@click.command()
@click.argument("target", metavar="TARGET", shell_complete=targets)
@click.option("--name", metavar="NAME", help="The deployment's name.")
@code_options
@verbose_option
@json_option
@connection_options
def diff(
    target: str,
    name: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    verbose: bool,
    as_json: bool,
    redis_url: str | None,
    prefix: str | None,
) -> int:
    """Show what a deploy of TARGET would change: modules added, removed, changed and why.

    Exits with 0 when nothing differs, 1 when something does, 2 when that can't be told.
    """
    try:
        loaded = load(target)
        with connected(redis_url, prefix, name) as client:
            found = client.diff(loaded, name=name, include=include, exclude=exclude)
    except (Exception, SystemExit) as error:
        # 1 says that something differs.
        code = present(error)
        return USAGE if code == FAILED else code
    if as_json:
        emit_json(found.to_json())
    else:
        for line in lines_of(found, verbose=verbose):
            write(line)
        if found.generation is None:
            tell(f"nothing is current as {found.name}")
        else:
            tell(f"compared with {found.name}@{found.generation}")
    return 0 if found.is_empty else 1


def lines_of(found: Difference, *, verbose: bool) -> Iterator[str]:
    """Yield the lines of a difference: a module each, then how many there are of each kind."""
    for each in found.modules:
        if each.mark != "unchanged" or verbose:
            why = f": {'; '.join(each.reasons)}" if each.reasons else ""
            sign = SIGNS[each.mark]
            yield paint(f"{sign} {each.path}  {each.mark}", _COLOURS[each.mark], sys.stdout) + why
    counts = [(len(getattr(found, mark)), mark) for mark in SIGNS]
    yield ", ".join(f"{count} {mark}" for count, mark in counts if count) or "no modules"
