"""The span of a deployment, as whoever submits it sees it: from the submission to its end.

Its context travels with each job, so that the tasks become its children on whatever worker they
run. It ends when somebody has waited for the deployment; with its handle, when nobody does.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from rootward.modules.rpc import tracing

from ..states import DeploymentState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span


_GOING_ON = (DeploymentState.PENDING, DeploymentState.PROGRESSING, DeploymentState.DEGRADED)


class DeploymentSpan:
    """One span, or none where nobody asked for any; `carrier` is its context as W3C headers."""

    def __init__(self, name: str) -> None:
        self.carrier: Mapping[str, str] = {}
        self._span: Span | None = None
        tracer = tracing.tracer("client")
        if tracer is None:
            return
        from opentelemetry.trace import SpanKind

        attributes = {"rootward.deployment": name}
        self._span = span = tracer.start_span(
            f"deployment {name}", kind=SpanKind.PRODUCER, attributes=attributes
        )
        self.carrier = tracing.carrier(span)
        # Ending it again does nothing, and a warning is logged for it: so it is ended once.
        self._end = weakref.finalize(self, span.end)

    def stored(self, generation: int, tasks: int) -> None:
        """Note what was stored."""
        if self._span is not None:
            self._span.set_attribute("rootward.generation", generation)
            self._span.set_attribute("rootward.tasks", tasks)

    def follow(self, state: DeploymentState, reason: str | None) -> None:
        """Take the state that the deployment is in; the first that it can settle in ends it."""
        if self._span is None or not self._end.alive or state in _GOING_ON:
            return
        self._span.set_attribute("rootward.state", str(state))
        if state is not DeploymentState.READY:
            tracing.failed(self._span, reason or str(state))
        self._end()
