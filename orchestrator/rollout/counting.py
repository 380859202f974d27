"""Counting calls by generation, and what of it is reported of a canary and its neighbour.

Each gateway and each program that calls services has one of these. A report says what has been
counted since the canary began, as far as this caller has seen it; the last of a caller counts, so
that a report that is lost or sent twice does no harm. No call costs a command.
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgpack

from ..errors import BadRecord
from .tally import CallTally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class CanaryShare(NamedTuple):
    """A canary and the generation beside which it stands."""

    canary: int
    current: int
    percent: float


@dataclass(frozen=True, slots=True)
class Pair:
    """What the calls of a canary and of the current generation were like since it began."""

    canary: CallTally
    current: CallTally


class Report(NamedTuple):
    """What one caller has counted of the canary `generation` of `name`, packed."""

    name: str
    generation: int
    counted: bytes


class Counting:
    """Tallies by deployment and generation; threads may share it."""

    def __init__(self) -> None:
        self.reporter = uuid.uuid4().hex[:12]
        self._tallies: dict[tuple[str, int], CallTally] = {}
        self._trials: dict[str, tuple[CanaryShare, Pair]] = {}
        self._reported: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def of(self, name: str, generation: int) -> CallTally:
        """Return the tally of a generation, which begins at zero when it is first asked for."""
        with self._lock:
            return self._tallies.setdefault((name, generation), CallTally())

    def observe(self, name: str, generation: int, seconds: float, *, is_error: bool) -> None:
        """Count one call, from any thread."""
        tally = self.of(name, generation)
        with self._lock:
            tally.observe(seconds, is_error=is_error)

    def __iter__(self) -> Iterator[tuple[tuple[str, int], CallTally]]:
        with self._lock:
            return iter(sorted(self._tallies.items(), key=lambda each: each[0]))

    def follow(self, name: str, trial: CanaryShare | None, routed: Iterable[int]) -> None:
        """Take note of the canary of a deployment, and forget generations without calls to come.

        `routed` are the generations that calls are sent to.
        """
        kept = set(routed)
        with self._lock:
            for place in [p for p in self._tallies if p[0] == name and p[1] not in kept]:
                del self._tallies[place]
            before = self._trials.get(name)
            if trial is None:
                self._trials.pop(name, None)
                self._reported.pop(name, None)
            elif before is not None and before[0][:2] == trial[:2]:
                self._trials[name] = (trial, before[1])
            else:
                # What the current one was like before says nothing about this comparison.
                self._trials[name] = (
                    trial,
                    Pair(self._now(name, trial.canary), self._now(name, trial.current)),
                )
                self._reported.pop(name, None)

    def _now(self, name: str, generation: int) -> CallTally:
        return self._tallies.setdefault((name, generation), CallTally()).copy()

    def share_of(self, name: str, generation: int) -> float:
        """Return the share of the calls that a generation gets, from 0 to 1."""
        with self._lock:
            trial = self._trials.get(name)
        if trial is None:
            return 1.0
        percent = trial[0].percent
        return (percent if generation == trial[0].canary else 100.0 - percent) / 100.0

    def reports(self) -> list[Report]:
        """Return what has changed since the last time, of each canary."""
        found = []
        with self._lock:
            for name, (trial, base) in self._trials.items():
                pair = Pair(
                    self._now(name, trial.canary).since(base.canary),
                    self._now(name, trial.current).since(base.current),
                )
                total = (pair.canary.calls, pair.current.calls)
                if any(total) and self._reported.get(name) != total:
                    self._reported[name] = total
                    found.append(Report(name, trial.canary, pack_pair(pair)))
        return found


def pack_pair(pair: Pair) -> bytes:
    """Pack what one caller has counted."""
    return bytes(msgpack.packb([pair.canary.to_plain(), pair.current.to_plain()]))


def unpack_pair(counted: bytes) -> Pair:
    """Read what `pack_pair` wrote; BadRecord for anything else."""
    try:
        canary, current = msgpack.unpackb(counted)
    except (ValueError, TypeError, msgpack.UnpackException) as cause:
        raise BadRecord(f"the figures of a caller can't be read ({cause})") from cause
    return Pair(CallTally.from_plain(canary), CallTally.from_plain(current))


def total_of(reports: Iterable[bytes]) -> Pair:
    """Add up what callers have counted; what can't be read was written by somebody else."""
    canary, current = CallTally(), CallTally()
    for counted in reports:
        try:
            pair = unpack_pair(counted)
        except BadRecord:
            continue
        canary, current = canary + pair.canary, current + pair.current
    return Pair(canary, current)
