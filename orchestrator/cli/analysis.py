"""The commands `why` and `analyze`: what a deployment waits for, and what its time went into."""

from __future__ import annotations

import click

from .completion import deployment_names, module_paths
from .logs import known_module, split_path
from .output import duration, emit_json, json_option, table, tell, write
from .session import connected, connection_options

_SHOWN_STEPS = 30


@click.command()
@click.argument("name", metavar="NAME[@GENERATION][/MODULE]", shell_complete=module_paths)
@click.argument("module", required=False)
@json_option
@connection_options
def why(
    name: str, module: str | None, as_json: bool, redis_url: str | None, prefix: str | None
) -> None:
    """Say in a few lines why a deployment or a module is in its state, and what it waits for."""
    from ..status.reasons import why_deployment, why_module

    name, module = split_path(name, module)
    with connected(redis_url, prefix, name) as client:
        deployment = client.deployment(name)
        timeline = deployment.timeline()
        path = None
        if module is None:
            lines = why_deployment(timeline)
        else:
            path = known_module(deployment, timeline.status, module)
            lines = why_module(timeline, path.partition(":")[2] or path)
        if as_json:
            status = timeline.status
            emit_json(
                {
                    "deployment": status.deployment,
                    "generation": status.generation,
                    "module": path,
                    "state": status.state,
                    "reason": status.reason,
                    "why": lines,
                }
            )
            return
        for line in lines:
            write(line)


@click.command()
@click.argument("name", metavar="NAME[@GENERATION]", shell_complete=deployment_names)
@json_option
@connection_options
def analyze(name: str, as_json: bool, redis_url: str | None, prefix: str | None) -> None:
    """Show what the time of a generation went into: its critical path, slots, and what to change.

    BARRIER is how long a step waited for the tasks before it, QUEUE for a free slot.
    """
    from ..status.advice import advise

    with connected(redis_url, prefix, name) as client:
        timeline = client.deployment(name).timeline()
        slots = sum(worker.slots for worker in client.workers())
        advice = advise(timeline, slots)
        if as_json:
            emit_json({**timeline.to_json(), "slots": slots, "advice": advice})
            return
        status = timeline.status
        write(
            f"{status.id} {status.state}: {duration(timeline.makespan_s)},"
            f" {duration(timeline.work_s)} of work"
        )
        write("")
        rows = [
            (
                step.task.id,
                duration(step.barrier_s),
                duration(step.queue_s),
                duration(step.run_s),
                step.task.worker or "-",
            )
            for step in timeline.critical
        ]
        shown = rows if len(rows) <= _SHOWN_STEPS else rows[-_SHOWN_STEPS:]
        if len(shown) < len(rows):
            tell(f"the last {_SHOWN_STEPS} of {len(rows)} steps; all of them: --json")
        header = ("CRITICAL PATH", "BARRIER", "QUEUE", "RUN", "WORKER")
        table(header, shown, least=(16, -1, -1, -1, 6))
        write("")
        used = [(worker, str(count)) for worker, count in sorted(timeline.slots_used.items())]
        table(("WORKER", "TASKS AT ONCE"), used, least=(12, -1))
        for sentence in advice:
            write(sentence)
