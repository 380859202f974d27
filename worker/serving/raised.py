"""What calls raise, as records for the replica's log: each kind of error, and no flood of it.

Errors are of one kind that have the same type and come from the same line. Of each kind the first
few within a period are told with their traceback, the rest are counted and said when it is over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rootward.modules.state.exceptions import describe

PERIOD_S: Final = 10.0
MOST_A_PERIOD: Final = 5
_MOST_KINDS: Final = 200

Kind = tuple[str, str, int]


@dataclass(slots=True)
class _Count:
    since: float
    told: int = 0
    untold: int = 0


class RaisedErrors:
    """Tells `tell` what is raised; may be used from any thread."""

    def __init__(
        self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell, self._clock = tell, clock
        self._lock = threading.Lock()
        self._counts: dict[Kind, _Count] = {}

    def note(self, error: BaseException, where: str = "forward") -> None:
        """Tell an error that `where` raised, unless enough of its kind were told lately."""
        if isinstance(error, GeneratorExit) or type(error).__name__ == "CancelledError":
            # Its caller has gone: nothing failed.
            return
        kind = _kind_of(error)
        with self._lock:
            count = self._counts.get(kind)
            missed = 0
            now = self._clock()
            if count is None or now - count.since > PERIOD_S:
                missed = 0 if count is None else count.untold
                if len(self._counts) >= _MOST_KINDS:
                    self._counts.clear()
                count = self._counts[kind] = _Count(now)
            if count.told >= MOST_A_PERIOD:
                count.untold += 1
                return
            count.told += 1
        if missed:
            self._tell(_missed(kind, missed))
        described = describe(error)
        head = f"{where} raised {described['type']}: {described['message']}"
        self._tell(f"{head}\n{described['traceback'].rstrip()}\n")

    def sum_up(self) -> None:
        """Tell how many errors weren't told, of each kind whose period is over."""
        now = self._clock()
        with self._lock:
            over = {k: c.untold for k, c in self._counts.items() if now - c.since > PERIOD_S}
            for kind in over:
                del self._counts[kind]
        for kind, untold in over.items():
            if untold:
                self._tell(_missed(kind, untold))


def _kind_of(error: BaseException) -> Kind:
    frames, place = error.__traceback__, ("", 0)
    while frames is not None:
        place = (frames.tb_frame.f_code.co_filename, frames.tb_lineno)
        frames = frames.tb_next
    return (type(error).__name__, *place)


def _missed(kind: Kind, number: int) -> str:
    name, file, line = kind
    return f"[{number} more {name} from {file}:{line} weren't logged]\n"
