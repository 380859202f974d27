"""The command `version`."""

from __future__ import annotations

import sys

import click

from .output import emit_json, json_option, write


def text() -> str:
    """Return the version as one line."""
    return f"rootward {_installed()}"


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Print the version of rootward and of the Python that runs it."""
    if as_json:
        emit_json({"rootward": _installed(), "python": sys.version.split()[0]})
    else:
        write(text())


def _installed() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("rootward")
    except PackageNotFoundError:
        return "(not installed)"
