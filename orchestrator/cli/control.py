"""The commands that change what is deployed: `cancel`, `resume`, `rollback`, `stop` and `scale`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from .completion import deployment_names, service_names
from .failures import FAILED, INTERRUPTED
from .group import TakesNumbers
from .output import emit_json, json_option, tell, verbose_option, write
from .session import connected, connection_options

if TYPE_CHECKING:
    from ..client.client import Client
    from ..client.deployment import Deployment


@click.command()
@click.argument("name", metavar="NAME[@GENERATION]", shell_complete=deployment_names)
@json_option
@connection_options
def cancel(name: str, as_json: bool, redis_url: str | None, prefix: str | None) -> None:
    """Start nothing more of a deployment that progresses, and end what runs."""
    with connected(redis_url, prefix, name) as client:
        _print(client.deployment(name).cancel(), as_json=as_json)


@click.command()
@click.argument("name", metavar="NAME[@GENERATION]", shell_complete=deployment_names)
@click.option("--detach", "-d", is_flag=True, help="Don't follow it.")
@json_option
@verbose_option
@connection_options
def resume(
    name: str,
    detach: bool,
    as_json: bool,
    verbose: bool,
    redis_url: str | None,
    prefix: str | None,
) -> int:
    """Run what has not succeeded again, bring back replicas that are gone, and follow it."""
    from .follow import follow

    with connected(redis_url, prefix, name) as client:
        deployment = client.deployment(name)
        # What is shown begins here: the history before it is the business of `events`.
        before = [event.id for event in deployment.events(follow=False)]
        deployment.resume()
        if not detach:
            after = before[-1] if before else None
            return follow(client, deployment, after=after, as_json=as_json, verbose=verbose)
        _print(deployment, as_json=as_json)
    return 0


@click.command()
@click.argument("name", shell_complete=deployment_names)
@click.option("--to", type=click.IntRange(1), metavar="G", help="Which generation (see history).")
@click.option("--detach", "-d", is_flag=True, help="Don't follow it.")
@json_option
@verbose_option
@connection_options
def rollback(
    name: str,
    to: int | None,
    detach: bool,
    as_json: bool,
    verbose: bool,
    redis_url: str | None,
    prefix: str | None,
) -> int:
    """Make an earlier generation current again, without training: the one before, or --to G.

    Its tree, code and states begin as a new generation; what serves goes on until that is ready,
    and when it fails. A canary is taken back.
    """
    from .follow import follow, tell_scaled

    with connected(redis_url, prefix, name) as client:
        deployment = client.rollback(name, to)
        tell_scaled(client, deployment)
        if not detach:
            return follow(client, deployment, as_json=as_json, verbose=verbose)
        _print(deployment, as_json=as_json)
    return 0


@click.command()
@click.argument("name", metavar="NAME[@GENERATION]", shell_complete=deployment_names)
@click.option("--detach", "-d", is_flag=True, help="Don't wait until all is gone.")
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=60.0,
    metavar="SECONDS",
    help="How long to wait (default: 60).",
)
@json_option
@connection_options
def stop(
    name: str,
    detach: bool,
    timeout: float,
    as_json: bool,
    redis_url: str | None,
    prefix: str | None,
) -> int:
    """Stop all that a deployment serves, parents before children, and wait until it is gone.

    Without a GENERATION all of them are meant: the current one and one that is to follow it.
    """
    with connected(redis_url, prefix, name) as client:
        asked = client.deployment(name)
        stopping = [] if "@" in name else stop_all(client, name)
        if not stopping:
            # What has only trained serves nothing; it is stopped all the same.
            stopping = [asked.stop(timeout=0)]
        code = 0
        try:
            deadline = time.monotonic() + timeout
            for deployment in [] if detach else stopping:
                deployment.wait_stopped(max(0.0, deadline - time.monotonic()))
        except TimeoutError as error:
            tell(str(error))
            code = FAILED
        except KeyboardInterrupt:
            tell(f"{name} goes on stopping without this terminal")
            return INTERRUPTED
        _print(stopping[-1], as_json=as_json)
    return code


def stop_all(client: Client, name: str) -> list[Deployment]:
    """Have all generations of a deployment stop; return those that do, the newest last."""
    return [
        client.deployment(name, number) for number in sorted(client.store.deployments.stop(name))
    ]


class Replicas(click.ParamType[str]):
    """A number of replicas, a range (`1..8`), or `auto`."""

    name = "replicas"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return it as it was written; refuse what is none of them."""
        from ..errors import PlanError
        from ..scaling.by_hand import read_wish

        text = str(value).strip()
        try:
            read_wish(text)
        except PlanError as error:
            self.fail(str(error), param, ctx)
        return text


@click.command(cls=TakesNumbers)
@click.argument("service", metavar="NAME/MODULE", shell_complete=service_names)
@click.argument("replicas", type=Replicas(), metavar="N|LOW..HIGH|auto")
@json_option
@connection_options
def scale(
    service: str, replicas: str, as_json: bool, redis_url: str | None, prefix: str | None
) -> None:
    """Set how many replicas the served module NAME/MODULE has.

    With a range, such as 1..8, their number follows its calls. What is set holds for later deploys
    too, until `auto` gives it back to the tree.
    """
    # A root that is served itself has no more than the deployment's name.
    name = service.partition("/")[0]
    with connected(redis_url, prefix, name) as client:
        wanted = client.scale(name, service, replicas)
        deployment = client.deployment(name)
        if as_json:
            emit_json(deployment.status().to_json())
            return
        kept = "" if replicas == "auto" else f"; until `rootward scale {service} auto`"
        number = f"{wanted} replica{'' if wanted == 1 else 's'}"
        of = f" at first, of {replicas}" if ".." in replicas else ""
        write(f"{service} is to have {number}{of}{kept}")


def _print(deployment: Deployment, *, as_json: bool) -> None:
    status = deployment.status()
    if as_json:
        emit_json(status.to_json())
    else:
        write(f"{status.id} {status.state}")
