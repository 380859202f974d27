"""What is going on with a deployment: one frozen picture, and the documents made of it.

A Status is read once from the store and never changes. Its JSON is the one that `status --json` and
`gateway list --json` print. `why_waiting` is the pure answer to "why does nothing happen": what is
next, compared with what the live workers offer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rootward.modules.needs.resources import amount_text, covers, resources_text

from ..store.rq_compat import PROTOCOL
from .places import users_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .evaluations import Evaluation
    from .sharing import SharedCalls


SERVICE_COLUMNS = ("service", "state", "address", "worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """One task; times are Unix seconds or None.

    `error` is None or type, message, traceback and the last lines of its output; `reason` says why
    it is in its state, where that isn't plain.
    """

    id: str
    kind: str
    module: str | None
    state: str
    attempt: int = 0
    worker: str | None = None
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    error: Mapping[str, str] | None = None
    reason: str | None = None
    progress: Mapping[str, Any] | None = None

    @property
    def path(self) -> str | None:
        """The path of its module, as plans call it."""
        return self.module

    def to_json(self) -> dict[str, Any]:
        """Return the task as `status --json` prints it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "module": self.module,
            "state": self.state,
            "attempt": self.attempt,
            "worker": self.worker,
            "queued_at": self.queued_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "error": _error_json(self.error),
            "reason": self.reason,
            "place": users_line((self.error or {}).get("traceback", "")),
            "traceback": (self.error or {}).get("traceback") or None,
            "log_tail": (self.error or {}).get("log_tail") or None,
            "progress": self.progress,
        }


def _error_json(error: Mapping[str, str] | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {key: error.get(key, "") for key in ("type", "message")}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """One live replica of a service; `lease_ms` are the milliseconds left of its lease.

    `reason` tells why it is in its state, where that isn't plain.
    """

    url: str
    replica: str
    worker: str
    state: str
    lease_ms: int
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the endpoint as `gateway list --json` prints it."""
        return {
            "url": self.url,
            "replica": self.replica,
            "worker": self.worker,
            "state": self.state,
            "lease_ms": self.lease_ms,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One service of a generation with its live replicas; `wanted` is how many there should be.

    `bounds` is the range in which that number follows the calls (None: it doesn't), `why` the
    reason of the number, where it isn't the tree's. One that `is_asleep` has none until it is
    called.
    """

    service: str
    deployment: str
    generation: int
    wanted: int = 1
    endpoints: tuple[EndpointStatus, ...] = ()
    bounds: str | None = None
    why: str | None = None
    is_asleep: bool = False

    def __repr__(self) -> str:
        ready = sum(endpoint.state == "ready" for endpoint in self.endpoints)
        return f"<Service {self.service} {self.state} {ready}/{self.wanted}>"

    def _repr_html_(self) -> str:
        from .html_table import table_html

        return table_html(SERVICE_COLUMNS, self.rows())

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row of SERVICE_COLUMNS for each replica; one of the service without any."""
        if not self.endpoints:
            return [(self.service, self.state, "", "")]
        return [(self.service, each.state, each.url, each.worker) for each in self.endpoints]

    @property
    def path(self) -> str:
        """The path of the served module, which is the service's name."""
        return self.service

    @property
    def state(self) -> str:
        """`ready` with at least one ready replica, else `unready`, or `asleep`."""
        ready = any(endpoint.state == "ready" for endpoint in self.endpoints)
        return "ready" if ready else "asleep" if self.is_asleep else "unready"

    def to_json(self) -> dict[str, Any]:
        """Return the service as `gateway list --json` prints it."""
        return {
            "service": self.service,
            "deployment": self.deployment,
            "generation": self.generation,
            "state": self.state,
            "endpoints": [endpoint.to_json() for endpoint in self.endpoints],
            **self._scaling(),
        }

    def _scaling(self) -> dict[str, Any]:
        """Return why it has its number of replicas, where that isn't the tree's alone."""
        if self.bounds is None and self.why is None:
            return {}
        return {"wanted": self.wanted, "bounds": self.bounds, "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One generation of a deployment as it was at one moment.

    `sharing` is there for a canary, and for the current generation beside one.
    """

    deployment: str
    generation: int
    state: str
    reason: str | None = None
    created_at: float | None = None
    ended_at: float | None = None
    tasks: tuple[TaskStatus, ...] = ()
    services: tuple[ServiceStatus, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    sharing: SharedCalls | None = None

    def __repr__(self) -> str:
        work = [task for task in self.tasks if task.kind != "prepare"]
        done = sum(task.state == "succeeded" for task in work)
        return f"<Status {self.id} {self.state} {done}/{len(work)}>"

    def _repr_html_(self) -> str:
        from .html_table import heading_html, table_html

        tasks = [task for task in self.tasks if task.kind != "join"]
        rows = [(task.module or "", task.kind, task.state, task.worker or "") for task in tasks]
        html = heading_html(self.id, f"{self.state}: {self.reason}" if self.reason else self.state)
        html += table_html(("module", "task", "state", "worker"), rows)
        if self.services:
            served = [row for service in self.services for row in service.rows()]
            html += table_html(SERVICE_COLUMNS, served)
        return html

    @property
    def id(self) -> str:
        """`NAME@GENERATION`."""
        return f"{self.deployment}@{self.generation}"

    @property
    def name(self) -> str:
        """The deployment's name."""
        return self.deployment

    def to_json(self) -> dict[str, Any]:
        """Return the document that `status NAME --json` prints."""
        return {
            "deployment": self.deployment,
            "generation": self.generation,
            "state": self.state,
            "reason": self.reason,
            "created_at": self.created_at,
            "ended_at": self.ended_at,
            "tasks": [task.to_json() for task in self.tasks],
            "services": [service.to_json() for service in self.services],
            "evaluations": [each.to_json() for each in self.evaluations],
            # Only while there is one: who reads what was documented before finds just that.
            **({} if self.sharing is None else {"canary": self.sharing.to_json()}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one live worker could run: its resources, and whether it takes new work at all.

    `used` is how much of its resources is held now, `holders` says by whom; `protocol` is the
    version of the jobs that it takes, None when it doesn't tell.
    """

    worker: str
    resources: Mapping[str, float]
    takes_work: bool = True
    used: Mapping[str, float] = field(default_factory=dict)
    holders: str = ""
    protocol: int | None = None


def why_waiting(
    tasks: Iterable[TaskStatus],
    needs: Mapping[str, Mapping[str, float]],
    offers: Sequence[Offer],
) -> str | None:
    """Say why no live worker could run what is next, or return None when one could.

    `needs` gives resources by the id of a task.
    """
    tasks = list(tasks)
    queued = [task for task in tasks if task.state == "queued" and task.kind != "prepare"]
    if not queued or any(task.state == "running" for task in tasks):
        return None
    taking = [offer for offer in offers if offer.takes_work]
    if not taking:
        what = "no worker is running" if not offers else "every worker is shutting down"
        return f"{queued[0].id} waits and {what}: start one with `rootward worker`"
    speaking = [offer for offer in taking if offer.protocol in {None, PROTOCOL}]
    if not speaking:
        others = ", ".join(f"{offer.worker} speaks {offer.protocol}" for offer in taking[:5])
        return (
            f"{queued[0].id} waits and no live worker speaks protocol {PROTOCOL} ({others}): "
            "run one version of rootward everywhere"
        )
    taking = speaking
    reasons = [_unmet(task, needs.get(task.id, {}), taking) for task in queued]
    return None if None in reasons else reasons[0]


def _in_use(task: TaskStatus, need: Mapping[str, float], able: Sequence[Offer]) -> str | None:
    """Say who has what a task waits for; None when one of the workers has it free."""
    for offer in able:
        left = {name: n - offer.used.get(name, 0.0) for name, n in offer.resources.items()}
        if covers(left, need):
            return None
    who = "; ".join(f"{offer.worker}: {offer.holders}" for offer in able[:5])
    return f"{task.id} waits for {resources_text(need)}, which is in use ({who})"


def _unmet(task: TaskStatus, need: Mapping[str, float], taking: Sequence[Offer]) -> str | None:
    if not need:
        return None
    able = [offer for offer in taking if covers(offer.resources, need)]
    if able:
        return _in_use(task, need, able)
    wanted = resources_text(need)
    have = "; ".join(
        f"{offer.worker} has {resources_text(offer.resources) or 'none'}" for offer in taking[:5]
    )
    option = " ".join(
        f"--resource {name}={amount_text(amount)}" for name, amount in sorted(need.items())
    )
    return (
        f"{task.id} needs {wanted} and no live worker offers it ({have}): "
        f"start one with `rootward worker {option}`"
    )
