"""A call of a replica as a span: a child of the gateway's, or of the module's that has called.

Made instead of a plain call where traces are asked for. The user's code runs within the span, so
that its own spans, and its calls of other modules, belong to the same trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rootward.modules.rpc import tracing

from .call import ModuleCall

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from .call import CallRunner
    from .connection import CallerConnection


class TracedModuleCall(ModuleCall):
    """One call and its span; `path` is the module's."""

    __slots__ = ("_span",)

    def __init__(
        self,
        serving: CallRunner,
        caller: CallerConnection,
        *arguments: Any,
        tracer: Tracer,
        path: str,
        **more: Any,
    ) -> None:
        from opentelemetry import context, trace

        super().__init__(serving, caller, *arguments, **more)
        given = {
            name: value.decode("latin-1")
            for name in tracing.HEADERS
            if (value := caller.headers.get(name.encode())) is not None
        }
        parent = tracing.context_of(given)
        self._span: Span = tracer.start_span(
            f"call {path}",
            context=parent,
            kind=trace.SpanKind.SERVER,
            attributes={"rootward.service": path},
        )
        self._context.run(context.attach, trace.set_span_in_context(self._span, parent))

    def ended(self, *, is_error: bool) -> None:
        """Count it out, and end its span."""
        if not self._is_over:
            if is_error:
                tracing.failed(self._span, "the module raised, or took too long")
            self._span.end()
        super().ended(is_error=is_error)
