"""What a worker has to offer beside slots (`gpu=2`), and which queues that lets it take from.

Tasks that need resources wait on queues whose names say how much of what they need. A worker
takes from those that what it has free can serve; what a task takes is free again when its
replica, or the task itself, has ended. Amounts are whole or decimal numbers, their meaning is the
user's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rootward.orchestrator.store.rq_compat import plain_queue


class Resources:
    """The resources of one worker, and who holds how much of them."""

    def __init__(self, prefix: str, total: Mapping[str, float]) -> None:
        """Begin with everything free."""
        self.total = {name: float(amount) for name, amount in sorted(total.items())}
        self._held: dict[object, Mapping[str, float]] = {}
        needs = "".join(
            rf"(?:-{re.escape(name)}(?P<n{i}>\d+(?:\.\d+)?))?" for i, name in enumerate(self.total)
        )
        self._pattern = re.compile(re.escape(plain_queue(prefix)) + needs)

    def needs(self, queue: str) -> dict[str, float] | None:
        """Return what the tasks of a queue need; None when it isn't for this worker."""
        found = self._pattern.fullmatch(queue) if self.total else None
        if found is None or not any(found.groups()):
            return None
        amounts = (found[f"n{i}"] for i in range(len(self.total)))
        return {
            name: float(amount)
            for name, amount in zip(self.total, amounts, strict=True)
            if amount is not None
        }

    def servable(self, queues: Iterable[str]) -> list[str]:
        """Return those of the queues that what is free now can serve, the greediest first."""
        needed = {queue: self.needs(queue) for queue in queues}
        fitting = [queue for queue, needs in needed.items() if needs and self._fits(needs)]
        return sorted(fitting, key=lambda queue: (-sum((needed[queue] or {}).values()), queue))

    def hold(self, holder: object, needs: Mapping[str, float]) -> None:
        """Note what a task or replica uses until `release`."""
        if needs:
            self._held[holder] = needs

    def release(self, holder: object) -> None:
        """Note that it uses nothing any more; twice is harmless."""
        self._held.pop(holder, None)

    def _fits(self, needs: Mapping[str, float]) -> bool:
        return all(
            amount + sum(held.get(name, 0.0) for held in self._held.values())
            <= self.total.get(name, 0.0)
            for name, amount in needs.items()
        )
