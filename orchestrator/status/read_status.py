"""Reading the state of things from the store into the frozen pictures that callers get.

Everything here only reads. What is returned is `status`'s and `failure`'s records; how they are
shown is left to the command line, and how to wait for a change to `deployment`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from rootward.modules.needs.resources import resources_text

from ..planning.plan import Plan
from ..states import DeploymentState, ReplicaState, TaskState
from ..store.records import ERROR_FD
from ..store.rq_compat import protocol_of
from .documents import devices_text, used_amounts
from .evaluations import evaluations_of
from .failure import TAIL_LINES, Failure
from .sharing import read_sharing
from .status import EndpointStatus, Offer, ServiceStatus, Status, TaskStatus, why_waiting
from .timeline import Timeline, make_timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..security.signing import Signer
    from ..store.records import AgentRecord, GenerationRecord, ReplicaRecord, TaskRecord
    from ..store.store import Store
    from .sharing import SharedCalls

GONE = frozenset({ReplicaState.STOPPED, ReplicaState.LOST})
"""The states of replicas that run no more."""


def read_status(store: Store, record: GenerationRecord, signer: Signer | None = None) -> Status:
    """Return the picture of one generation.

    With a `signer` the resources that its services need are known too, so that the reason why it
    waits can name them.
    """
    name, generation = record.name, record.generation
    records = store.tasks.of(name, generation)
    tasks = tuple(_task(each) for each in records)
    reason = record.reason
    if reason is None and record.state.is_progressing:
        reason = _reason_to_wait(store, signer, name, generation, tasks)
    services = read_services(store, record)
    if record.state is DeploymentState.STOPPING:
        reason = "; ".join(filter(None, [reason, *_calls_left(services)])) or None
    sharing = _sharing(store, record)
    if sharing is not None and sharing.canary.generation == generation:
        percent = f"it gets {sharing.canary.percent:g} % of the calls"
        reason = "; ".join(filter(None, [reason, f"{percent}: {sharing.reason}"]))
    return Status(
        deployment=name,
        generation=generation,
        state=str(record.state),
        reason=reason,
        created_at=record.created_at,
        ended_at=record.ended_at,
        tasks=tasks,
        services=services,
        evaluations=evaluations_of(store, signer, record, records),
        sharing=sharing,
    )


def _sharing(store: Store, record: GenerationRecord) -> SharedCalls | None:
    """Return how calls are shared, for the two generations between which they are."""
    if record.state not in {DeploymentState.READY, DeploymentState.DEGRADED}:
        return None
    found = read_sharing(store, store.deployments.get(record.name))
    if found is None or record.generation not in {
        found.canary.generation,
        found.current.generation,
    }:
        return None
    return found


def read_timeline(store: Store, record: GenerationRecord, signer: Signer | None) -> Timeline:
    """Return when each task of a generation waited and ran; raises SignatureError.

    Without a `signer` its edges aren't known: the critical path is then its last task alone.
    """
    plan = None if signer is None else read_plan(store, signer, record.name, record.generation)
    after = {} if plan is None else {task.id: task.after for task in plan.tasks}
    return make_timeline(read_status(store, record, signer), after, store.agents.now())


def _calls_left(services: Iterable[ServiceStatus]) -> Iterator[str]:
    """Tell of each replica that stays because of its calls."""
    for service in services:
        for endpoint in service.endpoints:
            if endpoint.state == ReplicaState.DRAINING and endpoint.reason:
                yield f"a replica of {service.service} {endpoint.reason}"


def _reason_to_wait(
    store: Store,
    signer: Signer | None,
    name: str,
    generation: int,
    tasks: Sequence[TaskStatus],
) -> str | None:
    # The usual answer is none, and needs neither the workers nor the plan.
    states = {task.state for task in tasks}
    if TaskState.QUEUED not in states or TaskState.RUNNING in states:
        return None
    plan = None if signer is None else read_plan(store, signer, name, generation)
    return why_waiting(tasks, _needs(plan), [_offer(agent) for agent in store.agents.all()])


def read_plan(store: Store, signer: Signer, name: str, generation: int) -> Plan | None:
    """Return the stored plan of a generation, or None when it is gone; raises SignatureError."""
    sealed = store.deployments.plan(name, generation)
    return None if sealed is None else Plan.from_bytes(signer.open_plan(sealed, name, generation))


def read_services(store: Store, record: GenerationRecord) -> tuple[ServiceStatus, ...]:
    """Return the services of a generation, each with its live replicas."""
    if not record.services:
        return ()
    found: dict[str, list[EndpointStatus]] = defaultdict(list)
    for replica, lease_ms in store.registry.replicas(record.name, record.generation):
        if replica.state not in GONE:
            found[replica.path].append(_endpoint(replica, lease_ms))
    return tuple(
        ServiceStatus(
            service=path,
            deployment=record.name,
            generation=record.generation,
            wanted=wanted,
            endpoints=tuple(found[path]),
            bounds=record.scaling.ranges.get(path),
            why=record.scaling.why.get(path),
            is_asleep=path in record.scaling.asleep,
        )
        for path, wanted in record.services.items()
    )


def read_failures(store: Store, name: str, generation: int) -> tuple[Failure, ...]:
    """Return the failed tasks of a generation in order of finish, each with the tail of its log."""
    failed = [task for task in store.tasks.of(name, generation) if task.state is TaskState.FAILED]
    if not failed:
        return ()
    # A warm-up fails of what the deploy task that did its work again then failed of.
    deploys = {task.path for task in failed if task.kind == "deploy"}
    failed = [task for task in failed if task.kind != "prepare" or task.path not in deploys]
    tails = _tails(store, name, generation, {task.id: task.attempt for task in failed})
    failed.sort(key=lambda task: task.ended_at or 0.0)
    return tuple(_failure(task, tails[task.id]) for task in failed)


def _tails(store: Store, name: str, generation: int, tasks: dict[str, int]) -> dict[str, list[str]]:
    written: dict[str, str] = defaultdict(str)
    for line in store.history.logs(name, generation):
        # What an earlier attempt wrote says nothing about this one.
        if line.fd == ERROR_FD:
            # The error itself is told beside its output.
            continue
        if line.task in tasks and line.attempt in {None, tasks[line.task]}:
            written[line.task] = (written[line.task] + line.text)[-65536:]
    return defaultdict(list, {t: text.splitlines()[-TAIL_LINES:] for t, text in written.items()})


def _failure(task: TaskRecord, tail: Sequence[str]) -> Failure:
    error = task.error or {}
    return Failure(
        task=task.id,
        module=task.path,
        worker=task.worker,
        attempt=task.attempt,
        error_type=error.get("type", ""),
        message=error.get("message", "") or task.reason or "",
        traceback=error.get("traceback", ""),
        log_tail=tuple(tail) or tuple(error.get("log_tail", "").splitlines()),
    )


def _task(record: TaskRecord) -> TaskStatus:
    return TaskStatus(
        id=record.id,
        kind=str(record.kind),
        module=record.path,
        state=str(record.state),
        attempt=record.attempt,
        worker=record.worker,
        queued_at=record.queued_at,
        started_at=record.started_at,
        ended_at=record.ended_at,
        error=record.error,
        reason=record.reason,
        progress=record.progress,
    )


def _endpoint(replica: ReplicaRecord, lease_ms: int) -> EndpointStatus:
    return EndpointStatus(
        url=replica.url,
        replica=replica.replica,
        worker=replica.worker,
        state=str(replica.state),
        lease_ms=lease_ms,
        reason=replica.reason,
    )


def _needs(plan: Plan | None) -> dict[str, dict[str, float]]:
    """Return what tasks need, by their ids."""
    return {} if plan is None else plan.needs_of_tasks()


def _offer(agent: AgentRecord) -> Offer:
    return Offer(
        worker=agent.info.worker,
        resources=agent.info.resources,
        takes_work=agent.info.state == "running",
        used=used_amounts(agent.info),
        holders=devices_text(agent.info) or resources_text(used_amounts(agent.info)),
        protocol=protocol_of(agent.info.queues),
    )
