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
from .output import emit_json, json_option, paint, table, tell, verbose_option, write
from .session import connection_options
from .target import load, plan_options, submit_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootward.modules.module import ModuleBase

    from ..client.client import Client
    from ..client.deployment import Deployment
    from ..status.status import Status
    from .machine import Machine


@click.command()
@plan_options
@submit_options
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
            return _run(machine, target, order, once=once, as_json=as_json, verbose=verbose)
        except KeyboardInterrupt:
            if machine.has_given_up:
                return FAILED
            tell("stopping everything (Ctrl-C again: at once)")
            return INTERRUPTED


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
    status = deployment.status()
    evaluated = eval_results(client, deployment, loaded.root)
    _print(status, evaluated, as_json=as_json)
    if once:
        return 0
    _tell_what_next(status)
    return machine.stay(deployment)


def eval_results(client: Client, deployment: Deployment, root: ModuleBase) -> dict[str, Any]:
    """Return the result of each evaluated module by its path, in the order of the walk."""
    from rootward.modules.state import state_log
    from rootward.modules.tree import Tree

    tree = Tree(root, deployment.name)
    name, generation = deployment.name, deployment.generation
    for sealed in client.store.tasks.states(name, generation):
        state_log.apply(tree, client.signer.open_state(sealed, name, generation))
    results = ((node.path, node.module.eval_result) for node in tree.nodes)
    return {path: result for path, result in results if result is not None}


def _print(status: Status, evaluated: Mapping[str, Any], *, as_json: bool) -> None:
    from .follow import print_services

    if as_json:
        emit_json({**status.to_json(), "eval": _presentable(evaluated)})
        return
    table(("EVALUATED", "RESULT"), [(path, _short(each)) for path, each in evaluated.items()])
    if evaluated and status.services:
        write("")
    print_services(status.services)


def _presentable(evaluated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results with JSON's types; what has no such form as its repr."""
    from .output import plain

    found = {}
    for path, result in evaluated.items():
        try:
            found[path] = plain(result)
        except TypeError:
            found[path] = repr(result)
    return found


def _short(result: object, width: int = 100) -> str:
    text = f"{result:.4g}" if isinstance(result, float) else repr(result)
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 3]}..."


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
