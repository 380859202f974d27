"""What is said when a deployment has come to its end: how long it took, and what that was made of.

The lines are made of a Timeline and of evaluations; nothing here reads or prints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..status.evaluations import Evaluation
    from ..status.timeline import Timeline

_SHOWN_STEPS = 6
_LONGEST_VALUE = 60


def end_lines(timeline: Timeline) -> list[str]:
    """Return makespan, critical path and slowest tasks, for a person."""
    status = timeline.status
    took = f"{status.id} {status.state} in {duration(timeline.makespan_s)}"
    ran = [step for step in timeline.steps if step.run_s is not None and step.task.kind != "join"]
    if not ran:
        return [took]
    lines = [f"{took}: {duration(timeline.work_s)} of work"]
    critical = [f"{step.task.id} {duration(step.run_s)}" for step in timeline.critical]
    if len(critical) > _SHOWN_STEPS:
        left_out = len(critical) - _SHOWN_STEPS
        critical = [*critical[:3], f"({left_out} more)", *critical[-3:]]
    if critical:
        lines.append(f"  critical path: {' > '.join(critical)}")
    if len(ran) > 1:
        slow = ", ".join(f"{s.task.id} {duration(s.run_s)}" for s in timeline.slowest())
        lines.append(f"  slowest: {slow}")
    return lines


def by_measure(evaluations: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    """Return the evaluations by the name of what was measured, `result` where it has none."""
    groups: dict[str, list[Evaluation]] = {}
    for each in evaluations:
        groups.setdefault(each.measure or "result", []).append(each)
    return groups


def value_of(evaluation: Evaluation) -> str:
    """Return the result in few characters."""
    result = evaluation.result
    text = f"{result:.4g}" if isinstance(result, float) else evaluation.result_repr
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
