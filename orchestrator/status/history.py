"""The history of a deployment: its generations as `history` shows them, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .evaluations import Evaluation, evaluations_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..security.signing import Signer
    from ..store.records import DeploymentRecord, GenerationRecord
    from ..store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One generation: when, by whom (user@host) and how it came about, and what it gave.

    `created_at` is in Unix seconds. `digest` is that of the code that went along with it. None
    stands for what isn't known. `source` is the generation that it took training over from.
    """

    generation: int
    state: str
    current: bool
    created_at: float
    by: str | None
    how: str
    digest: str | None
    evaluations: tuple[Evaluation, ...] = ()
    can_roll_back: bool = False
    source: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the generation as `history --json` prints it."""
        return {
            "generation": self.generation,
            "state": self.state,
            "current": self.current,
            "created_at": self.created_at,
            "by": self.by,
            "how": self.how,
            "digest": self.digest,
            "evaluations": [each.to_json() for each in self.evaluations],
            "can_roll_back": self.can_roll_back,
        }


def read_history(
    store: Store, deployment: DeploymentRecord, signer: Signer | None
) -> list[HistoryEntry]:
    """Return the generations of a deployment that are kept, newest first.

    Without a `signer` no evaluations are known. Raises SignatureError for one that no holder of
    the secret wrote.
    """
    returnable = {
        each.generation
        for each in store.deployments.returnable(deployment.name, deployment.current)
        if each.generation != deployment.canary
    }
    return [
        _entry(store, signer, record, current=deployment.current, returnable=returnable)
        for record in store.deployments.generations(deployment.name)
    ]


def _entry(
    store: Store,
    signer: Signer | None,
    record: GenerationRecord,
    *,
    current: int | None,
    returnable: Collection[int],
) -> HistoryEntry:
    evaluations: tuple[Evaluation, ...] = ()
    if signer is not None and "eval" in record.kinds:
        tasks = store.tasks.of(record.name, record.generation)
        evaluations = evaluations_of(store, signer, record, tasks)
    return HistoryEntry(
        generation=record.generation,
        state=str(record.state),
        current=record.generation == current,
        created_at=record.created_at,
        by=record.by or None,
        how=record.how,
        digest=record.bundle or None,
        evaluations=evaluations,
        can_roll_back=record.generation in returnable,
        source=record.source,
    )
