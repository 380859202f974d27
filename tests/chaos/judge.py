"""The judge of the chaos tests: when all is quiet, is everything as it was asked for?

It believes the witness, the kernel and the answers, and holds what is registered against them. Time
it gives plenty of; what isn't so by then is a violation. Whatever it finds wrong it tells with all
that it saw: records, processes, locks, the last events, what the workers wrote.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

from tests.chaos.witness import holders, ownerless
from tests.support.leaks import MARK
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.orchestrator.store.records import ReplicaRecord
    from tests.chaos.town import Run, Town

QUIET_S = 60.0
OWNERLESS_S = 3.0
_EVENTS = 40
_LINES = 15


def violations(town: Town) -> list[str]:
    """Wait until all that was asked for should be so, and say what isn't."""
    wrong: list[str] = []
    for run in town.runs.values():
        try:
            wait_until(
                lambda run=run: is_over(town, run),
                description=f"{run.name} ends", timeout=QUIET_S,
            )  # fmt: skip
        except AssertionError as error:
            wrong.append(f"{error}: it is {town.state(run.name)!r}")
            with contextlib.suppress(AssertionError):
                run.program.stop(signal.SIGABRT)
            wrong += [run.program.report(), *_story(town, run.name)]
    try:
        wait_until(
            lambda: not missing(town),
            description="what is served is whole", timeout=QUIET_S,
        )  # fmt: skip
    except AssertionError:
        wrong += [f"not whole within {QUIET_S:g} s: {each}" for each in missing(town)]
    owners = {os.getpid(), *(w.process.pid for w in town.workers)}
    try:
        wait_until(
            lambda: not ownerless(town.mark, owners),
            description="no process without an owner", timeout=OWNERLESS_S,
        )  # fmt: skip
    except AssertionError as error:
        wrong.append(f"{error}: {ownerless(town.mark, owners)}")
    wrong += town.trace.violations(finished(town)) + town.wrong
    return [*wrong, *scene(town)] if wrong else []


def is_over(town: Town, run: Run) -> bool:
    """Whether a run has ended as it should."""
    state = town.state(run.name)
    if not state:
        # Killed before it was stored, or told that Redis can't be reached: never acknowledged.
        return run.was_killed or run.may_be_lost or run.program.process.poll() == 3
    return state in run.ends


def finished(town: Town) -> dict[str, int]:
    """Return the runs that were to succeed and are said to have, with their leaves."""
    return {
        run.name: run.leaves
        for run in town.runs.values()
        if run.ends == ("ready",) and town.state(run.name) == "ready"
    }


def missing(town: Town) -> list[str]:
    """Say what of the served deployment isn't as it was asked for."""
    record = town.client.store.deployments.get("live")
    if record is None or record.current is None:
        return ["nothing is current"]
    wrong = []
    active = [number for name, number in town.client.store.deployments.active() if name == "live"]
    if active != [record.current]:
        wrong.append(f"generation {record.current} is current, and {active} are active")
    status = town.client.deployment("live", record.current).status()
    if str(status.state) != "ready":
        wrong.append(f"generation {record.current} is {status.state}: {status.reason}")
    replicas = [each for each, _ in town.client.store.registry.replicas("live", record.current)]
    serving = [each for each in replicas if each.state == "ready" and serves(town, each)]
    wanted = sum(service.wanted for service in status.services)
    is_asked_for = town.fewest <= wanted - 2 <= town.most
    if not (is_asked_for and len(serving) == len(replicas) == wanted):
        wrong.append(f"{wanted} are wanted, {len(replicas)} registered, {len(serving)} serve")
    wrong += [*wrong_holder(town, replicas)]
    try:
        answer = town.client.gateway.call("live", -1, hold=5)
    except Exception as error:  # whatever it is, it is no answer
        return [*wrong, f"a call failed: {error!r}"]
    return wrong if answer[0] == -1 else [*wrong, f"a call was answered {answer}"]


def serves(town: Town, replica: ReplicaRecord) -> bool:
    """Whether the process that a record names is one of the town's and listens where it says."""
    try:
        process = psutil.Process(replica.pid)
        is_ours = process.environ().get(MARK) == town.mark
        # The server of a command is below the process that keeps it.
        family = [process, *process.children(recursive=True)]
        listening = [each for each in family if urlsplit(replica.url).port in ports_of(each)]
        is_stopped = any(each.status() == psutil.STATUS_STOPPED for each in listening)
    except psutil.Error:
        return False
    return is_ours and bool(listening) and not is_stopped


def ports_of(process: psutil.Process) -> list[int]:
    """Return the ports at which a process listens."""
    sockets = process.net_connections("tcp")
    return [each.laddr.port for each in sockets if each.status == "LISTEN"]


def wrong_holder(town: Town, replicas: list[ReplicaRecord]) -> Iterator[str]:
    """Say who holds the lock of the exclusive module, but isn't registered as its replica."""
    registered = {each.pid for each in replicas if each.path.endswith("/back")}
    for version in range(1, town.version + 1):
        for pid in holders(town.folder / f"lock-{version}") - registered:
            yield f"process {pid} holds lock {version}, and {registered} are registered"


def scene(town: Town) -> Iterator[str]:
    """Tell all that can be seen, for whoever looks for the cause."""
    store = town.client.store
    yield "--- generations and replicas"
    for name, number in store.deployments.active():
        yield f"{name}@{number}: {store.deployments.generation(name, number)}"
        for replica, lease_ms in store.registry.replicas(name, number):
            told = f"{replica.path} {replica.replica} {replica.state} {replica.reason!r}"
            at = f"process {replica.pid} ({serves(town, replica)}) {replica.url}"
            yield f"  {told} of {replica.agent_id}, {lease_ms} ms left, {at}"
    yield f"--- agents: {[(a.info.id, a.info.state) for a in store.agents.all()]}"
    with town.server() as server:
        yield f"--- leader: {server.get(f'{town.prefix}:controller')!r}"
    for version in range(max(1, town.version - 3), town.version + 1):
        yield f"--- lock {version}: {holders(town.folder / f'lock-{version}')}"
    yield "--- processes"
    for worker in town.workers:
        yield f"{worker.command[-1]}: {worker.process.pid}, exit code {worker.process.poll()}"
        for process in town.below(worker):
            with contextlib.suppress(psutil.Error):
                yield f"  {process.pid} of {process.ppid()}: {process.status()}"
        yield from (f"  | {line}" for line in worker.stderr.splitlines()[-_LINES:])
    yield from _story(town, "live")


def _story(town: Town, name: str) -> Iterator[str]:
    yield f"--- the last events of {name}"
    with town.server() as server:
        entries = server.xrevrange(town.client.store.keys.events(name), count=_EVENTS)
    for _, fields in reversed(entries):
        yield "  " + " ".join(f"{k.decode()}={v.decode()}" for k, v in fields.items() if v)
