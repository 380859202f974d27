"""What a slot that evaluates says to its owner of shards, and hears of them.

The owner has them queued, and tells the end of each. All of it goes over the lane of the slot's
tasks, which its main thread reads: that of the evaluation, which waits here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rootward.modules.errors import EvaluationLost
from rootward.modules.evaluation.protocol import ShardEnd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rootward.modules.evaluation.protocol import Range
    from rootward.modules.processes.dispatch import Work


class ShardChannel:
    """The shards of the running task; used by its thread alone."""

    def __init__(self, work: Work, number: int) -> None:
        """Say nothing yet."""
        self._work, self._number = work, number
        self._slots = 0

    @property
    def slots(self) -> int:
        """How many shards may run at once, as last heard; 0 when none can."""
        return self._slots

    def begin(self) -> Sequence[ShardEnd]:
        """Ask for help; return the shards of an earlier attempt."""
        self._say({"op": "begin"})
        heard = self._hear()
        return [_read(each) for each in heard.get("known", ())]

    def add(self, shards: Sequence[Range]) -> None:
        """Have shards queued."""
        self._say({"op": "add", "shards": [list(each) for each in shards]})

    def next(self) -> ShardEnd:
        """Wait for the end of a shard; raises EvaluationLost when it can't be had."""
        while True:
            heard = self._hear()
            if (end := heard.get("end")) is not None:
                return _read(end)

    def _say(self, wish: Mapping[str, Any]) -> None:
        self._work.send({"number": self._number, "done": False, "wish": wish})

    def _hear(self) -> dict[str, Any]:
        heard = self._work.next_answer()
        if heard is None:
            raise EvaluationLost("EvaluationLost", "the worker has ended")
        if (error := heard.get("error")) is not None:
            raise EvaluationLost(error["type"], error["message"])
        self._slots = int(heard.get("slots", self._slots))
        return heard


def _read(told: Mapping[str, Any]) -> ShardEnd:
    return ShardEnd(
        start=told["start"], stop=told["stop"], packed=told.get("packed"), error=told.get("error")
    )
