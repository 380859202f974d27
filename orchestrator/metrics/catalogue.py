"""Every metric of rootward: name, kind, labels and meaning, by who tells it.

Names follow Prometheus' conventions: a prefix, base units, `_total` for what only grows. No name
stands twice. The list in docs/metrics.md is made from this one, and a test holds both together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class MetricKind(StrEnum):
    """What Prometheus takes a metric for."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    """Who tells a metric."""

    ALL = "every process"
    REPLICA = "a replica"
    GATEWAY = "the gateway, of its calls"
    FLEET = "the gateway, of what is behind it"
    WORKER = "a worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric."""

    name: str
    kind: MetricKind
    source: Source
    meaning: str
    labels: tuple[str, ...] = ()


def _of(source: Source, kind: MetricKind, name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=f"rootward_{name}", kind=kind, source=source, meaning=meaning, labels=labels)


_R, _G, _F, _W = Source.REPLICA, Source.GATEWAY, Source.FLEET, Source.WORKER
_COUNTER, _GAUGE, _TIMES = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM
_PLACE: Final = ("deployment", "generation")

BUILD_INFO: Final = _of(
    Source.ALL, _GAUGE, "build_info", "1, with the versions as labels.", "version", "python"
)

CALLS: Final = _of(_R, _COUNTER, "calls_total", "Calls that have ended.", "module")
ERRORS: Final = _of(
    _R, _COUNTER, "errors_total", "Calls that ended with the module's error.", "module"
)
REFUSED: Final = _of(_R, _COUNTER, "refused_total", "Requests that were refused.", "module")
IN_FLIGHT: Final = _of(_R, _GAUGE, "calls_in_flight", "Calls under way.", "module")
CALL_TIME: Final = _of(_R, _TIMES, "call_seconds", "How long calls took.", "module")

GATEWAY_CONNECTIONS: Final = _of(_G, _GAUGE, "gateway_connections", "Open connections of callers.")
GATEWAY_ACCEPTED: Final = _of(
    _G, _COUNTER, "gateway_accepted_connections_total", "Connections of callers since the start."
)
GATEWAY_STALE: Final = _of(
    _G,
    _GAUGE,
    "gateway_registry_stale_seconds",
    "Since when the registry can't be read; 0 while it is followed.",
)
GATEWAY_REFUSED: Final = _of(
    _G,
    _COUNTER,
    "gateway_refused_total",
    "Requests that the gateway answered with an error of its own.",
    "status",
)
GATEWAY_CALLS: Final = _of(
    _G,
    _COUNTER,
    "gateway_calls_total",
    "Calls that have ended, by class of status; gone: the caller left first.",
    *("service", "class"),
)
GATEWAY_IN_FLIGHT: Final = _of(
    _G, _GAUGE, "gateway_calls_in_flight", "Calls under way or held.", "service"
)
GATEWAY_WAITING: Final = _of(
    _G, _GAUGE, "gateway_calls_waiting", "Calls held for a replica.", "service"
)
GATEWAY_READY: Final = _of(
    _G, _GAUGE, "gateway_replicas_ready", "Replicas that calls go to.", "service"
)
GATEWAY_WANTED: Final = _of(
    _G,
    _GAUGE,
    "gateway_replicas_wanted",
    "Replicas there should be; 0 once the deployment is stopped or has ended.",
    "service",
)
GATEWAY_HELD: Final = _of(_G, _COUNTER, "gateway_held_total", "Calls that had to wait.", "service")
GATEWAY_REPEATS: Final = _of(_G, _COUNTER, "gateway_repeats_total", "Calls sent again.", "service")
GATEWAY_UNREPEATED: Final = _of(
    _G, _COUNTER, "gateway_unrepeated_total", "Calls not sent again as too many were.", "service"
)
GATEWAY_EJECTIONS: Final = _of(
    _G, _COUNTER, "gateway_ejections_total", "Times that a replica was left out.", "service"
)
GATEWAY_GONE: Final = _of(
    _G,
    _COUNTER,
    "gateway_replicas_gone_total",
    "Ready replicas that ended, were lost, or were replaced.",
    "service",
)
GATEWAY_TIME: Final = _of(
    _G,
    _TIMES,
    "gateway_call_seconds",
    "How long calls took, holding and repeating included.",
    "service",
)
GENERATION_CALLS: Final = _of(
    _G,
    _COUNTER,
    "gateway_generation_calls_total",
    "Calls that have ended, by the generation that they were given to.",
    *_PLACE,
)
GENERATION_ERRORS: Final = _of(
    _G,
    _COUNTER,
    "gateway_generation_errors_total",
    "Calls of a generation that failed, the callers' own faults left out.",
    *_PLACE,
)
GENERATION_TAIL: Final = _of(
    _G,
    _GAUGE,
    "gateway_generation_tail_seconds",
    "The time below which 99 of 100 calls of a generation were.",
    *_PLACE,
)
GENERATION_SHARE: Final = _of(
    _G,
    _GAUGE,
    "gateway_generation_share",
    "The share of the calls that a generation gets, from 0 to 1.",
    *_PLACE,
)

FLEET_LEASE: Final = _of(
    _F, _GAUGE, "fleet_worker_lease_seconds", "What is left of the lease.", "worker", "id"
)
FLEET_HELD: Final = _of(
    _F, _GAUGE, "fleet_worker_held", "Tasks and replicas that it holds.", "worker", "id"
)
FLEET_SLOTS: Final = _of(
    _F, _GAUGE, "fleet_worker_slots", "Tasks that it runs at once at most.", "worker", "id"
)
DEPLOYMENT_STATE: Final = _of(
    _F,
    _GAUGE,
    "deployment_state",
    "1 for the state that a generation is in: all active ones, and the newest of each deployment.",
    *(*_PLACE, "state"),
)
DEPLOYMENTS: Final = _of(
    _F, _GAUGE, "deployments", "Known deployments by the state of their newest.", "state"
)
SERVICE_READY: Final = _of(
    _F, _GAUGE, "service_replicas_ready", "Replicas that are ready.", *_PLACE, "service"
)
SERVICE_WANTED: Final = _of(
    _F,
    _GAUGE,
    "service_replicas_wanted",
    "Replicas there should be; 0 once the generation is stopped or has ended.",
    *(*_PLACE, "service"),
)
TASKS: Final = _of(_F, _GAUGE, "tasks", "Tasks by kind and state.", *_PLACE, "kind", "state")
TASK_BARRIER: Final = _of(
    _F,
    _TIMES,
    "task_barrier_wait_seconds",
    "From the submission until nothing was left to wait for.",
    *(*_PLACE, "kind"),
)
TASK_QUEUE: Final = _of(
    _F, _TIMES, "task_queue_wait_seconds", "From then until a worker began.", *_PLACE, "kind"
)
TASK_RUN: Final = _of(
    _F, _TIMES, "task_run_seconds", "From then until the task ended.", *_PLACE, "kind"
)

WORKER_QUEUE: Final = _of(
    _W, _TIMES, "worker_queue_wait_seconds", "From a task's release until its claim.", "kind"
)
WORKER_BARRIER: Final = _of(
    _W, _TIMES, "worker_barrier_wait_seconds", "From a submission until the release.", "kind"
)
WORKER_TASK: Final = _of(
    _W, _TIMES, "worker_task_seconds", "From a task's claim until its outcome.", "kind"
)
WORKER_TASKS: Final = _of(
    _W, _COUNTER, "worker_tasks_total", "Tasks that have ended here.", "kind", "state"
)
WORKER_LEASE: Final = _of(_W, _GAUGE, "worker_lease_seconds", "What is left of the lease.")
WORKER_LEASES_LOST: Final = _of(
    _W, _COUNTER, "worker_leases_lost_total", "Leases that ended before they were renewed."
)
WORKER_SLOTS: Final = _of(_W, _GAUGE, "worker_slots", "Tasks that run at once at most.")
WORKER_BUSY: Final = _of(_W, _GAUGE, "worker_slots_busy", "Slots that run a task.")
WORKER_REPLICAS: Final = _of(
    _W, _GAUGE, "worker_replicas", "Replicas by state.", *_PLACE, "service", "state"
)
WORKER_RESTARTS: Final = _of(
    _W,
    _COUNTER,
    "worker_replica_restarts_total",
    "Replicas that were started again where they had ended.",
    "service",
)

CATALOGUE: Final = tuple(each for each in tuple(globals().values()) if isinstance(each, Metric))


def table() -> str:
    """Return the catalogue as docs/metrics.md has it: a table for each source."""
    parts: list[str] = []
    for source in Source:
        parts += [f"## Told by {source}", "", "| metric | kind | labels | meaning |"]
        parts.append("|---|---|---|---|")
        for each in CATALOGUE:
            if each.source is source:
                labels = ", ".join(f"`{label}`" for label in each.labels) or "-"
                parts.append(f"| `{each.name}` | {each.kind} | {labels} | {each.meaning} |")
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    print(table(), end="")  # noqa: T201
