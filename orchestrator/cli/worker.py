"""The command `worker`: become a worker process.

The options are put into the environment and the process is replaced, so that signals, exit code and
process id are the worker's own. `-P` keeps the current folder out of the way of our own packages.
"""

from __future__ import annotations

import os
import sys

import click

from .session import connection_options, settings_of


class Resource(click.ParamType[str]):
    """NAME=AMOUNT, as in `gpu=2`, NAME=DEVICE,... or NAME=auto."""

    name = "resource"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the form; the worker reads it again, and knows which devices there are."""
        name, equals, given = (part.strip() for part in value.partition("="))
        try:
            is_amount = 0 <= float(given) < float("inf")
        except ValueError:
            # Names of devices.
            is_amount = bool(given.strip(","))
        if not name or not equals or not is_amount:
            self.fail(
                f"{value!r} must be NAME=AMOUNT, for example gpu=2, or name devices: gpu=0,3",
                param,
                ctx,
            )
        return value


@click.command()
@click.option("--slots", type=click.IntRange(1), metavar="N", help="Jobs at once (default: 4).")
@click.option("--name", metavar="NAME", help="The worker's name (default: host and number).")
@click.option(
    "--host",
    metavar="ADDR",
    help="Where its replicas listen and are found (default: ROOTWARD_HOST, else 127.0.0.1).",
)
@click.option(
    "--resource",
    "resources",
    type=Resource(),
    multiple=True,
    metavar="NAME=AMOUNT",
    help="What it offers: gpu=2, gpu=0,3 (devices by name), gpu=auto; may be given again.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Tell metrics at http://127.0.0.1:N/metrics (default: ROOTWARD_METRICS_PORT, else off).",
)
@click.option("--metrics-host", metavar="ADDR", help="Tell them on another address.")
@click.option(
    "--drain-tasks",
    type=click.FloatRange(0),
    metavar="S",
    help="How long its tasks may take to end after SIGTERM (default: ROOTWARD_DRAIN_SECONDS, 9).",
)
@click.option("-v", "--verbose", is_flag=True, help="Log every step of every task.")
@click.option("-q", "--quiet", is_flag=True, help="Log what goes wrong only.")
@click.option("--burst", is_flag=True, help="End when there is nothing left to do.")
@connection_options
def worker(
    slots: int | None,
    name: str | None,
    host: str | None,
    resources: tuple[str, ...],
    metrics_port: int | None,
    metrics_host: str | None,
    drain_tasks: float | None,
    verbose: bool,
    quiet: bool,
    burst: bool,
    redis_url: str | None,
    prefix: str | None,
) -> None:
    """Run tasks and keep replicas alive until SIGTERM, which drains first.

    Its log on standard error has a line for each task.
    """
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet exclude each other")
    from ..errors import MissingSecret, NoRedis

    settings = settings_of(
        redis_url, prefix, host=host, metrics_port=metrics_port, metrics_host=metrics_host
    )
    if settings.redis_url is None:
        raise NoRedis("no Redis is given: set REDIS_URL or pass --redis-url")
    if settings.secret is None:
        raise MissingSecret(
            "a worker runs nothing unsigned, and no secret is given: set ROOTWARD_SECRET, the same"
            " for workers and clients (make one with"
            " `python -c 'import secrets; print(secrets.token_hex(32))'`)"
        )
    os.environ.update(
        REDIS_URL=settings.redis_url,
        ROOTWARD_SECRET=settings.secret.reveal().decode(errors="surrogateescape"),
        ROOTWARD_PREFIX=settings.prefix,
        ROOTWARD_HOST=settings.host,
        ROOTWARD_METRICS_HOST=settings.metrics_host,
    )
    if settings.metrics_port is not None:
        os.environ["ROOTWARD_METRICS_PORT"] = str(settings.metrics_port)
    sys.stdout.flush()
    sys.stderr.flush()
    command = worker_command(slots=slots, name=name, resources=resources, burst=burst)
    if drain_tasks is not None:
        command += ["--drain-tasks", str(drain_tasks)]
    command += ["--verbose"] * verbose + ["--quiet"] * quiet
    os.execv(command[0], command)  # noqa: S606  # a list made here, no shell


def worker_command(
    *,
    slots: int | None = None,
    name: str | None = None,
    resources: tuple[str, ...] = (),
    burst: bool = False,
) -> list[str]:
    """Return the command line of a worker; address, secret and host are in its environment."""
    command = [sys.executable, "-P", "-m", "rootward.worker"]
    if slots is not None:
        command += ["--slots", str(slots)]
    if name is not None:
        command += ["--name", name]
    for resource in resources:
        command += ["--resource", resource]
    if burst:
        command.append("--burst")
    return command
