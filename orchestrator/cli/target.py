"""The argument TARGET and the options of all commands that take one.

It loads the tree with the user's own output sent to standard error, down to the descriptor, so
that no import can spoil the data on standard output. What is done with the tree is the command's
business.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .completion import targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rootward.modules.state.target import LoadedTarget

Command = TypeVar("Command", bound="Callable[..., Any]")
KINDS = ("train", "deploy", "eval")


class Kinds(click.ParamType[tuple[str, ...]]):
    """Kinds of tasks, separated by commas; a near name is told for a misspelt one."""

    name = "kinds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of kinds."""
        if isinstance(value, tuple):
            return value
        words = [word.strip().lower() for word in str(value).split(",") if word.strip()]
        for word in words:
            if word not in KINDS:
                from ..settings import near

                nearest = near(word, KINDS)
                hint = f"did you mean {nearest!r}?" if nearest else f"known: {', '.join(KINDS)}"
                self.fail(f"there is no kind {word!r}; {hint}", param, ctx)
        if not words:
            self.fail(f"name at least one of {', '.join(KINDS)}", param, ctx)
        return tuple(kind for kind in KINDS if kind in words)


def plan_options(command: Command) -> Command:
    """Give a command TARGET, `--name`, `--kinds` and `--no-recursive`."""
    for option in (
        click.option("--no-recursive", is_flag=True, help="The root module only."),
        click.option(
            "--kinds",
            type=Kinds(),
            default=KINDS,
            metavar="KIND,...",
            help="Which of train,deploy,eval (default: all).",
        ),
        click.option("--name", metavar="NAME", help="The deployment's name."),
        click.argument("target", metavar="TARGET", shell_complete=targets),
    ):
        command = option(command)
    return command


def optional_target(command: Command) -> Command:
    """Let a command be without TARGET: a file that it is given may name it."""
    for param in getattr(command, "__click_params__", ()):
        if param.name == "target":
            param.required = False
    return command


def submit_options(command: Command) -> Command:
    """Give a command the options that only matter when a tree is submitted."""
    for option in (
        click.option(
            "--retries",
            type=click.IntRange(0),
            default=0,
            metavar="N",
            help="How often a task that raises is tried again.",
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(0, min_open=True),
            metavar="SECONDS",
            help="The deployment fails unless it is ready by then.",
        ),
        click.option(
            "--by-value/--by-reference",
            "by_value",
            default=None,
            help="Send the tree's objects, or let workers make it again by importing TARGET.",
        ),
        click.option(
            "--bundle/--no-bundle",
            "bundle",
            default=True,
            help="Send the project's code along, or use what workers have installed.",
        ),
    ):
        command = option(command)
    return command


def code_options(command: Command) -> Command:
    """Give a command the options that say which files of the project go along."""
    for option in (
        click.option(
            "--exclude", multiple=True, metavar="GLOB", help="Leave out such files (repeatable)."
        ),
        click.option(
            "--include", multiple=True, metavar="GLOB", help="Add such files (repeatable)."
        ),
    ):
        command = option(command)
    return command


def takeover_options(command: Command) -> Command:
    """Give a command the options that say how a new generation takes over."""
    for option in (
        click.option(
            "--max-error-rate",
            type=float,
            metavar="R",
            help="Roll the canary back above this share of failed calls (0 to 1).",
        ),
        click.option(
            "--bake",
            type=float,
            metavar="SECONDS",
            help="Promote the canary by itself after that long without a breach.",
        ),
        click.option(
            "--canary",
            type=float,
            metavar="PERCENT",
            help="Give it that share of the calls, beside the current generation.",
        ),
        click.option(
            "--require",
            multiple=True,
            metavar="'PATH >= NUMBER'",
            help="What an evaluation must reach first; also 'PATH >= current - 0.01' (repeatable).",
        ),
    ):
        command = option(command)
    return command


def load(text: str) -> LoadedTarget:
    """Import TARGET and return its tree. Raises TargetError."""
    from rootward.modules.state.target import load_target

    with _stdout_to_stderr(), _signals_kept():
        return load_target(text)


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back what signals do here: some code that is imported takes them for itself."""
    kept = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in kept.items():
            # None is one that no Python code has set.
            if handler is not None and signal.getsignal(each) is not handler:
                signal.signal(each, handler)
