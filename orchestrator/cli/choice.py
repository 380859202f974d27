"""What of deployments is shown: the choice that options make, and the rows of their table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..status.documents import deployment_json
from .output import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..status.status import Status
    from ..store.records import DeploymentRecord

DEPLOYMENT_HEADER = ("DEPLOYMENT", "STATE", "CURRENT", "AGE", "REASON")
DEPLOYMENT_LEAST = (16, -1, -1, -1, 10)
NOTHING_DEPLOYED = "nothing is deployed: begin with `rootward deploy TARGET`"
FAILED_STATES = frozenset({"failed", "degraded", "lost", "unready"})
WAITING_STATES = frozenset({"waiting", "queued", "pending", "progressing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What of a deployment is shown: all of it, unless states or a depth are given."""

    states: frozenset[str] | None = None
    depth: int | None = None
    is_whole: bool = False

    @classmethod
    def of(cls, *, failed: bool, waiting: bool, depth: int | None, verbose: bool) -> Choice:
        """Return what the options ask for."""
        states = (FAILED_STATES if failed else frozenset()) | (
            WAITING_STATES if waiting else frozenset()
        )
        return cls(states=states or None, depth=depth, is_whole=verbose)

    @property
    def is_limited(self) -> bool:
        """Whether anything is left out."""
        return self.states is not None or self.depth is not None

    def takes(self, state: str) -> bool:
        """Whether what is in that state is shown."""
        return self.states is None or state in self.states

    def tasks(self, status: Status) -> Status:
        """Return a status with the tasks that are chosen."""
        if not self.is_limited:
            return status
        levels = self.depth
        kept = tuple(
            task
            for task in status.tasks
            if self.takes(task.state)
            and (levels is None or (task.module or "").count("/") <= levels)
        )
        return replace(status, tasks=kept)


def deployment_rows(records: Sequence[DeploymentRecord], now: float) -> list[tuple[str, ...]]:
    """Return a row for each deployment, as DEPLOYMENT_HEADER names its cells."""
    rows: list[tuple[str, ...]] = []
    for record in records:
        shown = deployment_json(record)
        current = "-" if record.current is None else f"@{record.current}"
        age = duration(now - shown["created_at"])
        name = f"{record.name}@{record.latest}"
        rows.append((name, shown["state"] or "-", current, age, shown["reason"] or ""))
    return rows
