"""Following a deployment to its end, for every command that waits for one.

It feeds the view with events, tells a failure when there is one, and prints what is there in the
end. Ctrl-C ends the following only: the deployment goes on, and the user is told how to reach it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..store.records import ERROR_FD
from .failures import FAILED, INTERRUPTED, headed, hint_lines, present, tell_failures
from .output import emit_json, table, tell, write
from .summary import by_measure, end_lines, value_of
from .view import view_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..client.client import Client
    from ..client.deployment import Deployment
    from ..errors import DeploymentFailed
    from ..status.evaluations import Evaluation
    from ..status.failure import Failure
    from ..status.sharing import SharedCalls
    from ..status.status import ServiceStatus, Status


def follow(
    client: Client,
    deployment: Deployment,
    *,
    after: str | None = None,
    as_json: bool = False,
    verbose: bool = False,
) -> int:
    """Show the deployment until it is ready or has failed; return the exit code.

    What happened up to the event `after` isn't shown.
    """
    try:
        code = watch(deployment, after=after, verbose=verbose)
        if code:
            tell_current(client, deployment)
    except KeyboardInterrupt:
        tell_detached(deployment)
        return INTERRUPTED
    tell_canary(client, deployment)
    print_outcome(deployment, as_json=as_json)
    return code


def watch(
    deployment: Deployment,
    *,
    after: str | None = None,
    verbose: bool = False,
    is_kept: bool = True,
) -> int:
    """Feed the view until the deployment is settled, and explain a failure; return 0 or 1."""
    from ..errors import DeploymentCancelled, DeploymentFailed

    try:
        with view_of(deployment, verbose=verbose) as view:
            for event in deployment.progress(after=after):
                view.see(event)
    except DeploymentFailed as error:
        _explain(deployment, error, verbose=verbose, is_kept=is_kept)
        return FAILED
    except DeploymentCancelled as error:
        return present(error)
    return 0


def tell_current(client: Client, deployment: Deployment) -> None:
    """Say that another generation than this one is what the outside sees, if so."""
    record = client.store.deployments.get(deployment.name)
    if record is not None and record.current not in {None, deployment.generation}:
        tell(f"{deployment.name}@{record.current} is current and keeps serving")


def tell_canary(client: Client, deployment: Deployment) -> None:
    """Say that the deployment is a canary, which share it gets and how it ends, if it is one."""
    record = client.store.deployments.get(deployment.name)
    if record is None or record.canary != deployment.generation:
        return
    name, found = deployment.name, client.store.deployments.generation(record.name, record.canary)
    percent = f"{record.canary_percent:g} %"
    tell(f"{deployment.id} gets {percent} of the calls, {name}@{record.current} the rest")
    if found is not None and found.rollout.bake_s is not None:
        tell(f"after {found.rollout.bake_s:g} s without a breach it is promoted by itself")
    tell(f"`rootward promote {name}` gives it all calls, `rootward rollback {name}` takes it back")


def tell_scaled(client: Client, deployment: Deployment) -> None:
    """Say which numbers of replicas are somebody's own and not those of the tree."""
    record = client.store.deployments.get(deployment.name)
    for path, count in {} if record is None else record.scaled.items():
        tell(f"{path} keeps {count} replicas, set by hand: `rootward scale {path} auto`")


def _explain(
    deployment: Deployment, error: DeploymentFailed, *, verbose: bool, is_kept: bool
) -> None:
    failures = error.failures
    status = deployment.status()
    if not failures:
        # The reason alone: what the message says beside it comes below.
        tell_reason(status)
    if verbose:
        failures = tuple(_with_whole_output(deployment, failure) for failure in failures)
    tell_failures(status, failures, verbose=verbose, is_kept=is_kept)
    if is_kept:
        for line in hint_lines(status):
            tell(line)


def tell_reason(status: Status) -> None:
    """Say why a deployment failed that has no failed task."""
    tell(headed(f"{status.id} failed: {status.reason or 'no reason is known'}"))


def _with_whole_output(deployment: Deployment, failure: Failure) -> Failure:
    entries = deployment.logs(failure.task)
    text = "".join(entry.text for entry in entries if entry.fd != ERROR_FD)
    return replace(failure, log_tail=tuple(text.splitlines()))


def tell_detached(deployment: Deployment) -> None:
    """Say that a deployment goes on without its watcher."""
    tell(
        f"{deployment.id} goes on without this terminal."
        f" Follow it with `rootward status {deployment.name} --watch`,"
        f" end it with `rootward cancel {deployment.name}`."
    )


def print_outcome(deployment: Deployment, *, as_json: bool) -> None:
    """Print how the deployment is now: its status as JSON, or state, evaluations and services.

    How long it took, and what that was made of, goes to standard error.
    """
    timeline = deployment.timeline()
    status = timeline.status
    for line in end_lines(timeline):
        tell(line)
    if as_json:
        emit_json(status.to_json())
        return
    write(f"{status.id} {status.state}")
    print_evaluations(status.evaluations)
    print_services(status.services)


def print_evaluations(evaluations: Sequence[Evaluation]) -> None:
    """Print the results of evaluations, a table for each measure."""
    for measure, group in by_measure(evaluations).items():
        rows = [(each.module, value_of(each)) for each in group]
        table(("EVALUATED", measure.upper()), rows, least=(12, 12))
        for each in group:
            if each.failed:
                tell(f"{each.module}: {each.failed} of {each.items} items failed")
        write("")


def print_sharing(sharing: SharedCalls | None) -> None:
    """Print what the calls of a canary and of the current generation beside it are like."""
    if sharing is None:
        return
    rows = []
    for word, share in (("current", sharing.current), ("canary", sharing.canary)):
        rate = "-" if share.error_rate is None else f"{share.error_rate:.2%}"
        p99 = "-" if share.p99 is None else f"{share.p99 * 1000:.3g} ms"
        cells = (f"@{share.generation}", word, f"{share.percent:g} %", str(share.calls), rate, p99)
        rows.append(cells)
    table(("GENERATION", "IS", "SHARE", "CALLS", "ERRORS", "P99"), rows, least=(-1,) * 6)
    write("")


def print_scaling(services: Iterable[ServiceStatus]) -> None:
    """Print why services have their numbers of replicas, as far as those aren't the tree's."""
    rows = [
        (each.service, f"{each.wanted} of {each.bounds}" if each.bounds else str(each.wanted), why)
        for each in services
        if (why := each.why)
    ]
    if rows:
        table(("SERVICE", "REPLICAS", "WHY"), rows, least=(12, -1, 20))
        write("")


def print_services(services: Iterable[ServiceStatus]) -> None:
    """Print services as a table, a line for each replica."""
    rows: list[Sequence[str]] = []
    for service in services:
        if not service.endpoints:
            rows.append((service.service, service.state, "-", "-"))
        for number, endpoint in enumerate(service.endpoints):
            label = service.service if number == 0 else ""
            rows.append((label, endpoint.state, endpoint.url or "-", endpoint.worker or "-"))
    table(("SERVICE", "STATE", "URL", "WORKER"), rows, least=(12, -1, -1, 6))
