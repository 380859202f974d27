"""How far ahead of its free slots an agent claims, by how long its tasks have taken lately.

Tasks of a few milliseconds would wait longer for their claim than they run, so some of them are
claimed while the slots are still busy. Long tasks never are: another worker may be idle. It only
measures and says a number; the slots give back what waits too long all the same.
"""

from __future__ import annotations

import math

SHORT_S = 0.008
"""Seconds that a task may take, on average, to count as short."""

PATIENCE_S = 0.03
"""Seconds that a claimed task may wait for a slot before it goes back to its queue."""

START_S = 0.008
"""Seconds in which a slot is started: a task whose turn comes sooner in another waits for that."""

_LIGHT_S = 0.0003
_MOST_KNOWN = 256
_AHEAD_PER_SLOT = 3
_KNOWN_AFTER = 3
_SHARE = 0.2
_LEAST_S = 1e-5


class Prefetch:
    """The running geometric mean of what tasks took."""

    def __init__(self) -> None:
        """Know nothing yet: the first tasks are claimed one a slot."""
        self._average = 0.0
        self._count = 0

    def note(self, seconds: float) -> None:
        """Take how long a task has taken."""
        self._count += 1
        share = max(_SHARE, 1 / self._count)
        # Of logarithms: a task that the machine has held up for once says little of the next.
        self._average += (math.log(max(seconds, _LEAST_S)) - self._average) * share

    def slow_down(self) -> None:
        """Take that tasks have waited too long: begin to learn anew."""
        self._count = 0
        self._average = 0.0

    @property
    def average_s(self) -> float:
        """What a task takes; 0 while nothing is known."""
        return math.exp(self._average) if self._count else 0.0

    @property
    def ahead(self) -> int:
        """How many tasks a slot may have beyond the one that it runs."""
        if self._count < _KNOWN_AFTER or self.average_s > SHORT_S:
            return 0
        return _AHEAD_PER_SLOT

    @property
    def is_light(self) -> bool:
        """Whether a task takes less than an agent has to do for it: one slot keeps up with that."""
        return self.ahead > 0 and self.average_s < _LIGHT_S


class Paces:
    """The pace of each kind of task of the deployments that ran here last.

    The next generation of a deployment begins with what is known of the one before.
    """

    def __init__(self) -> None:
        """Know of none yet."""
        self._known: dict[tuple[str, str], Prefetch] = {}

    def of(self, deployment: str, kind: str) -> Prefetch:
        """Return a pace, which is then the last to be forgotten."""
        key = deployment, kind
        pace = self._known.pop(key) if key in self._known else Prefetch()
        self._known[key] = pace
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return pace
