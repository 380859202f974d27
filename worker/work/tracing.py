"""A task as a span: from its claim to its outcome, a child of the deployment that it belongs to.

It stands around each run where traces are asked for. The agent makes the span, so that the end of
a task's own process ends it too; what the task does in there belongs to it by the context that goes
along. A job whose context can't be read is run all the same, as a trace of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rootward.modules.rpc import tracing
from rootward.orchestrator.store.rq_compat import Serializer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Tracer

    from rootward.orchestrator.store.records import Claim

    from .assignment import Assignment, Outcome
    from .task_runner import Run


class TracedTasks:
    """The spans of one worker's tasks."""

    def __init__(self, tracer: Tracer, worker: str) -> None:
        """`worker` is the worker's name."""
        self._tracer, self._worker = tracer, worker

    async def watch(self, run: Run, assignment: Assignment) -> Outcome | None:
        """Run a task in a span of its own."""
        from opentelemetry.trace import SpanKind

        claim = assignment.claim
        span = self._tracer.start_span(
            claim.task,
            context=tracing.context_of(_carrier_of(claim)),
            kind=SpanKind.CONSUMER,
            attributes={
                "rootward.deployment": claim.name,
                "rootward.generation": claim.generation,
                "rootward.task": claim.task,
                "rootward.attempt": claim.attempt,
                "rootward.worker": self._worker,
            },
        )
        if claim.queued_at is not None and claim.claimed_at is not None:
            span.set_attribute("rootward.queue_wait_s", claim.claimed_at - claim.queued_at)
        assignment.trace = tracing.carrier(span)
        state = "handed back"
        try:
            outcome = await run(assignment)
            if outcome is not None:
                state = str(outcome.state)
                if outcome.error is not None:
                    tracing.failed(span, f"{outcome.error['type']}: {outcome.error['message']}")
            elif assignment.lost is not None:
                tracing.failed(span, assignment.lost["message"])
            return outcome
        finally:
            span.set_attribute("rootward.state", state)
            span.end()


def _carrier_of(claim: Claim) -> Mapping[str, str]:
    try:
        *_, named = Serializer.loads(claim.data)
        found = named.get("trace", {})
    except (ValueError, TypeError, AttributeError):
        # Whether it may run is judged elsewhere.
        return {}
    return found if isinstance(found, dict) else {}
