"""Why a deployment failed, told: which tasks, on which worker, with what error and last output.

A Failure is one failed task with what a person needs to act on it; `explain` makes the message of
DeploymentFailed from them. Reading them from the store is left to whoever has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..terminal import clean
from .places import users_line

if TYPE_CHECKING:
    from collections.abc import Sequence

TAIL_LINES = 10
SHOWN_FAILURES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed task: `traceback` is the worker's, `log_tail` its last lines of output."""

    task: str
    module: str | None
    worker: str | None
    attempt: int
    error_type: str
    message: str
    traceback: str = ""
    log_tail: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"worker {self.worker}" if self.worker else "no worker"
        lines = [
            f"{self.task}: module {self.module}, {place}, attempt {self.attempt}",
            *(f"  {line}" for line in self._error().splitlines()),
        ]
        if place_in_code := users_line(self.traceback):
            lines.append(f"  at {place_in_code}")
        if self.log_tail:
            lines.append("  the last of its output:")
            lines.extend(f"    {line}" for line in self.log_tail)
        return "\n".join(lines)

    def _error(self) -> str:
        return f"{self.error_type}: {self.message}" if self.error_type else self.message


def explain(
    deployment: str,
    generation: int,
    reason: str | None,
    failures: Sequence[Failure],
    skipped: Sequence[str],
) -> str:
    """Return what happened, where, what was not started for it, and how to go on."""
    head = f"{deployment}@{generation} failed"
    if reason and not failures:
        head += f": {reason}"
    elif failures:
        head += f": {len(failures)} task{'s' if len(failures) > 1 else ''} failed"
    lines = [head, *(str(failure) for failure in failures[:SHOWN_FAILURES])]
    if len(failures) > SHOWN_FAILURES:
        lines.append(f"... and {len(failures) - SHOWN_FAILURES} more")
    if skipped:
        more = f" and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        lines.append(f"therefore not started: {', '.join(skipped[:5])}{more}")
    lines.append(f"when the cause is mended: rootward resume {deployment}")
    # Python shows it with the traceback, as it is.
    return clean("\n".join(lines))
