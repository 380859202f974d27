"""Metrics of what is behind the gateway: workers, deployments, tasks and their waits.

They are read from the store when somebody asks, so that any gateway can tell them and none has to
count. All are gauges of the generations that are active now: a generation that has ended takes its
share along. Without Redis there is nothing to tell.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from ..meters import Sample, family

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...store.records import AgentRecord, GenerationRecord, TaskRecord
    from ...store.store import Store

Tasks = list[tuple["GenerationRecord", list["TaskRecord"]]]

_SPANS: Final = {
    "barrier_wait": "From the submission until nothing was left to wait for.",
    "queue_wait": "From then until a worker began.",
    "run": "From then until the task ended.",
}


def fleet_lines(store: Store) -> list[str]:
    """Read workers and active generations and return their metrics."""
    found: Tasks = []
    for name, number in store.deployments.active():
        record = store.deployments.generation(name, number)
        if record is not None:
            found.append((record, store.tasks.of(name, number)))
    return [*_of_workers(store.agents.all()), *_of_deployments(found), *_of_tasks(found)]


def _of_workers(agents: Iterable[AgentRecord]) -> list[str]:
    told = [({"worker": agent.info.worker, "id": agent.info.id}, agent) for agent in agents]
    return [
        *family(
            "worker_lease_seconds",
            "gauge",
            "What is left of each worker's lease.",
            [Sample(labels, agent.lease_ms / 1000) for labels, agent in told],
        ),
        *family(
            "worker_held",
            "gauge",
            "Tasks and replicas that each worker holds.",
            [Sample(labels, agent.held) for labels, agent in told],
        ),
        *family(
            "worker_slots",
            "gauge",
            "Tasks that each worker runs at once at most.",
            [Sample(labels, agent.info.slots) for labels, agent in told],
        ),
    ]


def _of_deployments(found: Tasks) -> list[str]:
    return [
        *family(
            "deployment_state",
            "gauge",
            "1 for the state that each active generation is in.",
            [Sample({**_place(record), "state": str(record.state)}, 1) for record, _ in found],
        ),
        *family(
            "service_replicas_ready",
            "gauge",
            "Replicas that are ready.",
            [
                Sample({**_place(record), "service": path}, record.ready.get(path, 0))
                for record, _ in found
                for path in record.services
            ],
        ),
        *family(
            "service_replicas_wanted",
            "gauge",
            "Replicas there should be.",
            [
                Sample({**_place(record), "service": path}, wanted)
                for record, _ in found
                for path, wanted in record.services.items()
            ],
        ),
    ]


def _of_tasks(found: Tasks) -> list[str]:
    counts: dict[tuple[str, str, str, str], int] = defaultdict(int)
    spans: dict[str, dict[tuple[str, str, str], float]] = {
        name: defaultdict(float) for name in _SPANS
    }
    for record, tasks in found:
        name, number = _place(record).values()
        for task in tasks:
            counts[name, number, task.kind, str(task.state)] += 1
            for span, seconds in _spans(record, task).items():
                spans[span][name, number, task.kind] += seconds
    lines = family(
        "tasks",
        "gauge",
        "Tasks by kind and state.",
        [
            Sample({**_labels(name, number), "kind": kind, "state": state}, count)
            for (name, number, kind, state), count in counts.items()
        ],
    )
    for span, meaning in _SPANS.items():
        samples = [
            Sample({**_labels(name, number), "kind": kind}, seconds)
            for (name, number, kind), seconds in spans[span].items()
        ]
        lines += family(f"task_{span}_seconds", "gauge", f"{meaning} All tasks together.", samples)
    return lines


def _spans(record: GenerationRecord, task: TaskRecord) -> Mapping[str, float]:
    times = (record.created_at, task.queued_at, task.started_at, task.ended_at)
    return {
        name: max(0.0, end - begin)
        for name, begin, end in zip(_SPANS, times, times[1:], strict=False)
        if begin is not None and end is not None
    }


def _place(record: GenerationRecord) -> dict[str, str]:
    return _labels(record.name, str(record.generation))


def _labels(name: str, number: str) -> dict[str, str]:
    return {"deployment": name, "generation": number}
