"""What is said when Redis has lost its data: that it has, when, and what to do next.

Workers bring back what they serve. Queued work, history, trees and trained states can't come back;
who looks for them is told so here, instead of finding nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..errors import DataLost

if TYPE_CHECKING:
    from ..store.records import GenerationRecord
    from ..store.store import Store


def told(store: Store) -> str | None:
    """Return the sentence for a Redis that has lost its data within a week, else None."""
    at = store.agents.emptied_at()
    if at is None:
        return None
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    return (
        f"Redis had lost its data by {when}: what was queued or kept as history then is gone, and "
        "only what workers served came back; deploy again what is missing"
    )


def gone(store: Store, id_: str, name: str) -> DataLost | None:
    """Return the error for a deployment that was there, if Redis has lost its data since."""
    said = told(store)
    if said is None and store.agents.store_id() is not None:
        return None
    # Without an id no worker has found it yet.
    why = said or "Redis has lost its data, and no worker has joined it since; deploy again"
    return DataLost(f"{id_} isn't known any more: {why}", name=name)


def not_startable(record: GenerationRecord) -> DataLost:
    """Return the error for what would need the tree of a generation that workers brought back."""
    return DataLost(
        f"{record.name}@{record.generation} was brought back by its workers after Redis had lost "
        "its data: what runs goes on, but its tree is gone, so nothing more of it can be started; "
        "deploy it again",
        name=record.name,
    )
