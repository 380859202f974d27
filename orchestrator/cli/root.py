"""The root of the command line: the table of all commands, in the order of a user's way.

It holds names and one-line helps only. What a command does is left to the file that the table
names.
"""

from __future__ import annotations

from typing import Any

import click

from .group import Entry, LazyGroup

COMMANDS = {
    "up": Entry("up:up", "Run TARGET on this machine, with nothing else installed."),
    "plan": Entry("plan:plan", "Show what a deployment of TARGET would do."),
    "diff": Entry("diff:diff", "Show what a deploy of TARGET would change, and why."),
    "deploy": Entry("deploy:deploy", "Submit TARGET and follow it until it is ready."),
    "worker": Entry("worker:worker", "Run a worker until SIGTERM."),
    "status": Entry("status:status", "Show deployments, or one of them with its modules."),
    "deployments": Entry("status:deployments", "List the deployments, the newest first."),
    "workers": Entry("status:workers", "List the live workers."),
    "history": Entry("history:history", "List a deployment's generations, the newest first."),
    "events": Entry("history:events", "Print what happened to a deployment."),
    "logs": Entry("logs:logs", "Print what tasks and replicas wrote and raised."),
    "why": Entry("analysis:why", "Say why a deployment or module is in its state."),
    "analyze": Entry("analysis:analyze", "Show what the time of a generation went into."),
    "cancel": Entry("control:cancel", "Cancel a deployment that progresses."),
    "promote": Entry("promote:promote", "Make a deployment's canary its current generation."),
    "resume": Entry("control:resume", "Run what has not succeeded, and bring back lost replicas."),
    "rollback": Entry("control:rollback", "Make an earlier generation current again."),
    "stop": Entry("control:stop", "Stop all that a deployment serves, parents first."),
    "scale": Entry("control:scale", "Change how many replicas a served module has."),
    "gateway": Entry("gateway:gateway", "Look into the registry and call services."),
    "doctor": Entry("checkup:doctor", "Check Redis, the secret, the clock and the workers."),
    "completion": Entry("completion:completion", "Print the completion of a shell."),
    "version": Entry("version:version", "Print the version."),
}
ALIASES = {"ps": "status", "down": "stop"}


def _print_version(ctx: click.Context, _: click.Parameter, value: Any) -> None:
    if value and not ctx.resilient_parsing:
        from .version import text

        click.echo(text())
        ctx.exit()


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    aliases=ALIASES,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings come from REDIS_URL and ROOTWARD_*; exit codes: 0 done, 1 failed,"
    " 2 wrong usage, 3 no Redis, 130 interrupted.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def cli() -> None:
    """Deploy trees of modules over Redis: children before parents, each as a service.

    TARGET is package.module:attribute or path/to/file.py:attribute; the attribute is a module, or
    a function without arguments that returns one.
    """
