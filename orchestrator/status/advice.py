"""What a timeline says about making a deployment quicker: slots, single tasks, or the tree itself.

Each piece of advice is a sentence with the figures that it rests on. There is none where a
deployment is as quick as its critical path allows and nothing stands out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .timeline import Timeline

_MUCH = 0.2
_MOST = 0.5
_LEAST_S = 0.2


def advise(timeline: Timeline, slots: int) -> list[str]:
    """Return what could make it quicker; `slots` is how many tasks the live workers run at once."""
    whole = timeline.makespan_s
    path = timeline.critical
    if whole < _LEAST_S or not path:
        return []
    queued = sum(step.queue_s or 0.0 for step in path)
    earlier = sum(step.earlier_s for step in path)
    longest = max(path, key=lambda step: step.run_s or 0.0)
    found = []
    if queued > _MUCH * whole:
        at_once = f" ({slots} slots now)" if slots else ""
        found.append(
            f"{queued:.1f} s of {whole:.1f} s went into waiting for a free slot: more workers or"
            f" slots would help{at_once}"
        )
    if earlier > _MUCH * whole:
        found.append(f"{earlier:.1f} s went into attempts that failed or were lost")
    run = longest.run_s or 0.0
    if run > _MOST * whole and len(timeline.steps) > 1:
        found.append(
            f"{longest.task.id} ran for {run:.1f} s of {whole:.1f} s while what follows waited:"
            " split its module, or make that task quicker"
        )
    elif len(path) > 2 and timeline.work_s < 1.5 * whole and queued <= _MUCH * whole:
        found.append(
            f"{len(path)} tasks ran one after another ({timeline.work_s / whole:.1f} at a time on"
            " average): modules that don't need each other's results can stand beside each other"
        )
    return found
