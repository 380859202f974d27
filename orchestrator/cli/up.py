"""The command `up`: everything on this machine, for as long as the command runs.

It starts a private server (unless there is a Redis), a worker and the deployment, shows them, and
takes all of it away again: at Ctrl-C, at SIGTERM, after `--once`, and, by way of the leashes that
its processes are on, also when it is killed.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import click

from .failures import FAILED, INTERRUPTED
from .output import emit_json, json_option, paint, table, tell, verbose_option
from .session import connection_options
from .summary import end_lines
from .target import code_options, load, plan_options, submit_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..status.status import Status
    from .machine import Machine


@click.command()
@plan_options
@submit_options
@code_options
@click.option("--slots", type=click.IntRange(1), metavar="N", help="Jobs at once (default: 4).")
@click.option("--once", is_flag=True, help="Deploy, evaluate, print the result, stop, exit.")
@json_option
@verbose_option
@connection_options
def up(
    target: str,
    slots: int | None,
    once: bool,
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

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    order["recursive"] = not order.pop("no_recursive")
    with Machine.prepare(redis_url, prefix, slots=slots) as machine:
        try:
            code = _run(machine, target, order, once=once, as_json=as_json, verbose=verbose)
        except KeyboardInterrupt:
            code = FAILED if machine.has_given_up else INTERRUPTED
            if not machine.has_given_up:
                tell("stopping everything (Ctrl-C again: at once)")
    if once:
        tell("all of it has been stopped")
    return code


def _run(
    machine: Machine,
    target: str,
    order: Mapping[str, Any],
    *,
    once: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    from ..status.read_status import read_plan
    from .follow import watch

    # The worker starts while the target is imported here.
    machine.start_worker()
    loaded = load(target)
    client = machine.connect()
    deployment = client.submit(loaded, **order)
    machine.announce(deployment)
    # As it is stored: to plan again would run the user's getters again.
    tell(str(read_plan(client.store, client.signer, deployment.name, deployment.generation)))
    code = watch(deployment, verbose=verbose, is_kept=False)
    if code:
        if as_json:
            emit_json(deployment.status().to_json())
        return FAILED
    timeline = deployment.timeline()
    for line in end_lines(timeline):
        tell(line)
    _print(timeline.status, is_over=once, as_json=as_json)
    if once:
        return 0
    _tell_what_next(timeline.status)
    return machine.stay(deployment)


def _print(status: Status, *, is_over: bool, as_json: bool) -> None:
    """Print evaluations and services; of what is about to be stopped no address is shown."""
    from .follow import print_evaluations, print_services

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
    """Take SIGTERM and SIGHUP for a Ctrl-C."""
    del number, frame
    raise KeyboardInterrupt
