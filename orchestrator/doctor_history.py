"""The check-up of what is kept as history: how much it is, and what bounds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .findings import OK, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .settings import Settings
    from .store.store import Store

_MIB = 1 << 20
_LARGE_SHARE = 0.25


def check_history(store: Store, settings: Settings, most_memory: int) -> Iterator[Finding]:
    """Say how much history is kept and for how long.

    `most_memory` is the limit of the server in bytes, 0 for none.
    """
    active = set(store.deployments.active())
    ended = [
        (name, record.generation)
        for name in store.deployments.names()
        for record in store.deployments.generations(name)
        if (name, record.generation) not in active
    ]
    size = store.history.size(ended)
    days = f"{settings.history_days:g} days after its end (ROOTWARD_HISTORY_DAYS)"
    plural = "" if len(ended) == 1 else "s"
    message = (
        f"{len(ended)} ended generation{plural}, {size / _MIB:.1f} MiB; each "
        f"goes {days}, but for the last N of a deployment with --keep N"
    )
    if most_memory and size > _LARGE_SHARE * most_memory:
        yield Finding(
            check="history",
            level=WARNING,
            message=f"{message}; that is {size / most_memory:.0%} of the memory of Redis",
            advice="shorten ROOTWARD_HISTORY_DAYS, or deploy with a smaller --keep N",
        )
        return
    yield Finding(check="history", level=OK, message=message)
