"""Traces in OpenTelemetry's words, where somebody asked for them, and nothing at all where not.

They are asked for by the standard OTEL_* variables (an endpoint or an exporter), or by a program
that uses OpenTelemetry itself: its own provider is left as it is then. Until that is so nothing of
OpenTelemetry is imported. What travels between processes is the W3C context, two headers. A trace
never decides whether work is done: what can't be sent is dropped.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

__all__ = ["carrier", "context_of", "failed", "headers", "is_asked", "tracer", "within"]

HEADERS: Final = ("traceparent", "tracestate")
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_GROUP: Final = "opentelemetry_traces_exporter"
_NAMES: Final = {"otlp": "otlp_proto_http"}
_DELAY_MS: Final = 1000.0
_GOODBYE_S: Final = 2.0
_LONGEST: Final = 512

_was_told = False


def is_asked(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment asks for traces."""
    environ = os.environ if environ is None else environ
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter:
        return exporter != "none"
    return any(environ.get(name) for name in _ENDPOINTS)


def tracer(role: str) -> Tracer | None:
    """Return what makes this process's spans; None where nobody asked for any.

    `role` names the process (`gateway`, `worker`, `replica`, `client`) unless OTEL_SERVICE_NAME
    does. A provider of the program's own is used as it is.
    """
    global _was_told
    if not is_asked():
        api = sys.modules.get("opentelemetry.trace")
        # Others import it too; what counts is that the program has said where spans go.
        if api is None or isinstance(api.get_tracer_provider(), api.ProxyTracerProvider):
            return None
        found: Tracer = api.get_tracer("rootward")
        return found
    try:
        from opentelemetry import trace

        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            _set_up(role)
    except Exception as error:
        if not _was_told:
            _was_told = True
            import logging

            logging.getLogger(__name__).warning(
                "OTEL_* asks for traces, and they can't be made (%s): pip install 'rootward[otel]'",
                error,
                extra={"event": "traces.missing"},
            )
        return None
    return trace.get_tracer("rootward")


def carrier(span: Span | None = None) -> dict[str, str]:
    """Return the context of `span`, or the current one, as W3C headers; empty without any."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found: dict[str, str] = {}
    context = None if span is None else trace.set_span_in_context(span)
    TraceContextTextMapPropagator().inject(found, context)
    return found


def headers() -> str:
    """Return the current context as lines of an HTTP head; empty without any."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None or not api.get_current_span().get_span_context().is_valid:
        return ""
    return "".join(f"{name}: {value}\r\n" for name, value in carrier().items())


def context_of(given: Mapping[str, str]) -> Context:
    """Return the context that a carrier brings: a new one where it brings none that can be read."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    known = {
        name: value
        for name, value in given.items()
        if name in HEADERS and str(value) == value and len(value) <= _LONGEST
    }
    return TraceContextTextMapPropagator().extract(known, Context())


@contextlib.contextmanager
def within(given: Mapping[str, str] | None, role: str) -> Iterator[None]:
    """Let what is done here belong to the trace that a carrier brings, if it brings one."""
    if not given or tracer(role) is None:
        yield
        return
    from opentelemetry import context

    token = context.attach(context_of(given))
    try:
        yield
    finally:
        context.detach(token)


def failed(span: Span, why: str) -> None:
    """Mark a span as an error."""
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, why))


def _set_up(role: str) -> None:
    import atexit

    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    environ = os.environ
    named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = Resource.create({} if named else {"service.name": f"rootward-{role}"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    # Processes end soon after their work: what they have to tell must not wait for long.
    delay_ms = None if environ.get("OTEL_BSP_SCHEDULE_DELAY") else _DELAY_MS
    for exporter in _exporters():
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=delay_ms))
    trace.set_tracer_provider(provider)
    atexit.register(_say_goodbye, provider.shutdown)


def _exporters() -> Iterator[Any]:
    from importlib.metadata import entry_points

    for asked in os.environ.get("OTEL_TRACES_EXPORTER", "otlp").split(","):
        name = _NAMES.get(asked.strip(), asked.strip())
        found = tuple(entry_points(group=_GROUP, name=name))
        if not found:
            raise LookupError(f"no exporter {name!r} is installed")
        yield found[0].load()()


def _say_goodbye(shutdown: Callable[[], None]) -> None:
    """Send what is left, but let no collector that doesn't answer hold up the end."""
    import threading

    thread = threading.Thread(target=shutdown, daemon=True)
    thread.start()
    thread.join(_GOODBYE_S)
