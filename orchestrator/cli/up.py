"""The command `up`: everything on this machine, for as long as the command runs.

It starts a private server (unless there is a Redis), a worker and the deployment, shows them, and
takes all of it away again: at Ctrl-C, at SIGTERM, after `--once`, and, by way of the leashes that
its processes are on, also when it is killed.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from .failures import FAILED, INTERRUPTED
from .follow import print_evaluations, print_services, watch
from .output import emit_json, json_option, paint, table, tell, verbose_option
from .session import connection_options
from .summary import end_lines
from .target import code_options, load, plan_options, submit_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootward.modules.state.target import LoadedTarget

    from ..client.client import Client
    from ..client.deployment import Deployment
    from ..status.status import Status
    from .machine import Machine

MOST_PLAN_LINES = 40


@click.command()
@plan_options
@submit_options
@code_options
@click.option("--slots", type=click.IntRange(1), metavar="N", help="Jobs at once (default: 4).")
@click.option("--once", is_flag=True, help="Deploy, evaluate, print the result, stop, exit.")
@click.option("--reload", is_flag=True, help="Deploy again when a file of the project changes.")
@json_option
@verbose_option
@connection_options
def up(
    target: str,
    slots: int | None,
    once: bool,
    reload: bool,
    as_json: bool,
    verbose: bool,
    redis_url: str | None,
    prefix: str | None,
    **order: Any,
) -> int:
    """Run TARGET on this machine with nothing else installed, until Ctrl-C.

    Without REDIS_URL it starts a private server. Other rootward commands of yours find it by
    themselves as long as it runs.
    """
    from .machine import Machine

    signal.signal(signal.SIGTERM, _interrupt)
    order["recursive"] = not order.pop("no_recursive")
    if once and reload:
        raise click.UsageError("--once ends, so there is nothing for --reload to wait for")
    wishes = UpOptions(once=once, reload=reload, as_json=as_json, verbose=verbose)
    with Machine.prepare(redis_url, prefix, slots=slots) as machine:
        try:
            code = _run(machine, target, order, wishes)
        except KeyboardInterrupt:
            code = FAILED if machine.has_given_up else INTERRUPTED
            if not machine.has_given_up:
                tell("stopping everything (Ctrl-C again: at once)")
    if once:
        tell("all of it has been stopped")
    return code


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """How `up` was asked to show and to go on."""

    once: bool
    reload: bool
    as_json: bool
    verbose: bool


def _run(machine: Machine, target: str, order: Mapping[str, Any], wishes: UpOptions) -> int:
    # The worker starts while the target is imported here.
    machine.start_worker()
    loaded = load(target)
    client = machine.connect()
    _refuse_to_take_over(client, loaded, order["name"])
    deployment = client.submit(loaded, **order)
    machine.announce(deployment)
    if not wishes.once:
        machine.start_gateway()
    # As it is stored: to plan again would run the user's getters again.
    _tell_plan(str(deployment.plan()), verbose=wishes.verbose)
    code = watch(deployment, verbose=wishes.verbose, is_kept=False)
    if code:
        if wishes.as_json:
            emit_json(deployment.status().to_json())
        if not wishes.reload:
            return FAILED
    else:
        _tell_end(deployment, wishes)
        if wishes.once:
            return 0
    if wishes.reload:
        machine.reload(target, deployment, order)
        if code:
            tell(f"{deployment.id} is deployed again when a file changes; Ctrl-C stops all of it")
            deployment = machine.await_reload(deployment)
    return machine.stay(deployment)


def _tell_plan(plan: str, *, verbose: bool) -> None:
    """Tell the plan, of a large one the first line."""
    lines = plan.splitlines()
    if len(lines) > MOST_PLAN_LINES and not verbose:
        lines = [f"{lines[0]} (`rootward plan` draws all of it)"]
    for line in lines:
        tell(line)


def _tell_end(deployment: Deployment, wishes: UpOptions) -> None:
    timeline = deployment.timeline()
    for line in end_lines(timeline):
        tell(line)
    _print(timeline.status, is_over=wishes.once, as_json=wishes.as_json)
    if not wishes.once:
        _tell_what_next(timeline.status)


def _refuse_to_take_over(client: Client, loaded: LoadedTarget, name: str | None) -> None:
    """Raise UsageError when what somebody else has deployed would be replaced, and then stopped."""
    name = name or loaded.default_name
    record = client.store.deployments.get(name)
    numbers = [] if record is None else [record.current, record.latest]
    found = [client.store.deployments.generation(name, n) for n in numbers if n is not None]
    live = [each for each in found if each is not None and not each.is_over]
    if live:
        raise click.UsageError(
            f"{name}@{live[-1].generation} is {live[-1].state} on this Redis, and `up` would"
            " replace it and stop it at its end: give this one another name with --name, or update"
            " that one with `rootward deploy`"
        )


def _print(status: Status, *, is_over: bool, as_json: bool) -> None:
    """Print evaluations and services; of what is about to be stopped no address is shown."""
    if as_json:
        evaluated = {
            each.module: each.result_repr if each.result is None else each.result
            for each in status.evaluations
        }
        emit_json({**status.to_json(), "eval": evaluated})
        return
    print_evaluations(status.evaluations)
    if is_over:
        served = [(service.service, service.state) for service in status.services]
        table(("SERVICE", "STATE"), served, least=(12, -1))
    else:
        print_services(status.services)


def _tell_what_next(status: Status) -> None:
    import sys

    tell(paint(f"{status.id} is ready; Ctrl-C stops all of it", "green", sys.stderr))
    urls = [
        endpoint.url
        for service in status.services
        for endpoint in service.endpoints
        if endpoint.state == "ready"
    ]
    if urls:
        tell(f"  call it:     rootward gateway call {status.services[-1].service} JSON")
        tell(f"  or:          curl -d JSON -H 'content-type: application/json' {urls[-1]}")
    tell(f"  look at it:  rootward status {status.deployment}")
    tell(f"  its output:  rootward logs {status.deployment} --follow")


def _interrupt(number: int, frame: object) -> None:
    """Take SIGTERM for a Ctrl-C."""
    del number, frame
    raise KeyboardInterrupt
