"""An evaluation whose items are computed by others, in shards, and collected here in their order.

`shard_size` is the policy: a shard takes a few seconds, and near the end less, so that all end
together. `Collector` hands out shards and takes what they give, by a `Sharing`. An item counts
once, however often it was computed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..errors import EvaluationLost
from .shards import ShardResult, read_shard

if TYPE_CHECKING:
    from ..tree import Tree
    from .computing import Computation
    from .protocol import Range, ShardEnd, Sharing

SHARD_S: Final = 2.0
"""Seconds that a shard takes; more when a single item takes longer."""
_LEAST_S: Final = 0.1
_AHEAD: Final = 2
_NEWEST_SHARE: Final = 0.5


@dataclass(slots=True, kw_only=True)
class Rate:
    """How long items take: `item_s` of one process's time each, `latency_s` from begin to end."""

    item_s: float
    latency_s: float

    @classmethod
    def of(cls, work: Computation) -> Rate:
        """Return what a computation has measured; of one that has ended none, what it can run."""
        if work.done:
            return cls(item_s=work.took_s / work.done, latency_s=work.latency_s)
        return cls(item_s=max(work.took_s, SHARD_S) / work.width, latency_s=work.took_s)

    def note(self, count: int, took_s: float, latency_s: float) -> None:
        """Take what the newest shard has measured."""
        if count:
            self.item_s += (took_s / count - self.item_s) * _NEWEST_SHARE
            self.latency_s += (latency_s - self.latency_s) * _NEWEST_SHARE


def shard_size(rate: Rate, slots: int, left: int) -> int:
    """Return how many items the next shard has when `left` are to be computed in `slots`."""
    item_s = max(rate.item_s, 1e-7)
    fair = left / (_AHEAD * max(1, slots))
    size = min(max(SHARD_S, rate.latency_s) / item_s, max(fair, _LEAST_S / item_s))
    return max(1, round(size))


class Collector:
    """Has the items from some number on computed in shards, and collects what they have given."""

    def __init__(
        self, path: str, tree: Tree, sharing: Sharing, *, rate: Rate, total: int | None
    ) -> None:
        """Know of nothing computed yet; `total` is None while nobody has counted the items."""
        self._path, self._tree, self._sharing = path, tree, sharing
        self._rate, self._end = rate, total
        self._open: set[Range] = set()
        self._gaps: deque[Range] = deque()
        self._next = 0
        self.results: dict[int, Any] = {}
        self.failures: dict[int, Exception] = {}

    @property
    def done(self) -> int:
        """How many items have an outcome."""
        return len(self.results) + len(self.failures)

    def run(
        self,
        begun: int,
        *,
        known: Sequence[ShardEnd],
        keeps_failures: bool,
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        """Collect all items from `begun` on.

        Raises the first failure unless `keeps_failures`, EvaluationLost for a shard that has no
        result.
        """
        self._next = begun
        self._take_over(known)
        while self._fill():
            self._take(self._sharing.next(), keeps_failures)
            on_progress(self.done, self._end)

    def _take_over(self, known: Sequence[ShardEnd]) -> None:
        """Go on from what an earlier attempt has left."""
        for end in sorted(known, key=lambda each: each.start):
            if end.stop <= self._next or end.error is not None:
                continue
            result = None if end.packed is None else self._read(end)
            if result is not None and result.failures:
                # The module may do better now.
                continue
            if end.start > self._next:
                self._gaps.append((self._next, end.start))
            self._next = max(self._next, end.stop)
            if result is None:
                self._open.add((end.start, end.stop))
            else:
                self._merge(end, result)

    def _fill(self) -> bool:
        """Hand out shards until enough are under way; whether any is."""
        added: list[Range] = []
        most = max(1, _AHEAD * self._sharing.slots)
        while len(self._open) + len(added) < most:
            shard = self._cut()
            if shard is None:
                break
            added.append(shard)
        if added:
            self._open.update(added)
            self._sharing.add(added)
        return bool(self._open)

    def _cut(self) -> Range | None:
        gaps = sum(stop - start for start, stop in self._gaps)
        # Of an unknown number of items, as many are likely to come as have been.
        left = (self._next if self._end is None else max(0, self._end - self._next)) + gaps
        size = shard_size(self._rate, self._sharing.slots, left)
        while self._gaps:
            start, stop = self._gaps.popleft()
            if self._end is not None and start >= self._end:
                continue
            if start + size < stop:
                self._gaps.appendleft((start + size, stop))
            return start, min(stop, start + size)
        if self._end is not None:
            size = min(size, self._end - self._next)
        if size <= 0:
            return None
        start, self._next = self._next, self._next + size
        return start, self._next

    def _take(self, end: ShardEnd, keeps_failures: bool) -> None:
        shard = (end.start, end.stop)
        if shard not in self._open:
            # It was told already, or is of an attempt before this one.
            return
        self._open.remove(shard)
        if end.error is not None:
            raise _lost(end, end.error)
        result = self._read(end)
        self._merge(end, result)
        if result.failures and not keeps_failures:
            raise result.failures[min(result.failures)]
        count = len(result.results) + len(result.failures)
        self._rate.note(count, result.took_s, result.latency_s)

    def _merge(self, end: ShardEnd, result: ShardResult) -> None:
        self.results |= result.results
        self.failures |= result.failures
        behind = end.start + len(result.results) + len(result.failures)
        if result.total is not None:
            self._end = result.total
        if behind < (end.stop if self._end is None else min(end.stop, self._end)):
            # What it gave had become too large for one result.
            self._gaps.append((behind, end.stop))

    def _read(self, end: ShardEnd) -> ShardResult:
        return read_shard(end.packed or b"", self._tree, self._path, end.start)


def _lost(end: ShardEnd, error: dict[str, str]) -> EvaluationLost:
    items = f"items {end.start} to {end.stop - 1}"
    said = error.get("message", "")
    return EvaluationLost(
        error.get("type", "EvaluationLost"), f"{items}: {said}", error.get("traceback", "")
    )
