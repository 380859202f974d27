"""A call whose way through the gateway is a span; the replica's own becomes its child.

Made instead of a plain call where traces are asked for, so that nobody else pays for them. What
happens to the call is decided by the plain one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rootward.modules.rpc import tracing

from .call import ProxiedCall
from .passthrough import ForeignCall

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from ...http.framing import Request
    from .replica import UpstreamReplica
    from .responder import Responder
    from .roles import Kept
    from .table import RoutedService

_NAMES = {name.encode(): name for name in tracing.HEADERS}


class Traced(ProxiedCall):
    """A call and its span, as far as it is the same for all of them."""

    __slots__ = ()

    if TYPE_CHECKING:
        # The slot is that of each kind: two bases can't both have some of their own.
        @property
        def _span(self) -> Span:
            """The span."""

        @_span.setter
        def _span(self, span: Span) -> None: ...

    def __init__(
        self,
        caller: Responder,
        request: Request,
        service: RoutedService,
        route: str,
        tracer: Tracer,
    ) -> None:
        from opentelemetry.trace import SpanKind

        super().__init__(caller, request, service, route)
        path = service.view.path
        given, rest = _parted(request.lines)
        self._span = tracer.start_span(
            f"{self.method.decode()} /services/{path}",
            context=tracing.context_of(given),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": self.method.decode(),
                "url.path": request.target.partition(b"?")[0].decode(),
                "rootward.service": path,
                "rootward.deployment": service.view.deployment,
                "rootward.generation": service.view.generation,
            },
        )
        told = tracing.carrier(self._span)
        request.lines = rest + [f"{name}: {value}".encode() for name, value in told.items()]

    def _send(self, connection: Kept, replica: UpstreamReplica) -> None:
        super()._send(connection, replica)
        self._span.set_attribute("rootward.replica", replica.view.replica)
        self._span.set_attribute("rootward.attempts", self._attempts)

    def _refuse(self, status: int, message: str) -> None:
        self._tell(status, message)
        super()._refuse(status, message)

    def _end(self, status: int) -> None:
        if not self._is_over:
            if status:
                self._tell(status, "")
            self._span.end()
        super()._end(status)

    def _tell(self, status: int, why: str) -> None:
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            tracing.failed(self._span, why)


class TracedProxiedCall(Traced):
    """One call of a module and its span."""

    __slots__ = ("_span",)


class TracedForeignCall(Traced, ForeignCall):
    """One call of a foreign server and its span."""

    __slots__ = ("_span",)


def traced_call_of(
    caller: Responder, request: Request, service: RoutedService, route: str, tracer: Tracer
) -> ProxiedCall:
    """Return the call for what a service's replicas are, with a span."""
    kind = TracedForeignCall if service.view.is_foreign else TracedProxiedCall
    return kind(caller, request, service, route, tracer)


def _parted(lines: list[bytes]) -> tuple[dict[str, str], list[bytes]]:
    """Return the context that a caller has sent, and the other lines of the head."""
    given: dict[str, str] = {}
    rest: list[bytes] = []
    for line in lines:
        name, _, value = line.partition(b":")
        known = _NAMES.get(name.lower())
        if known is None:
            rest.append(line)
        else:
            given[known] = value.strip(b" \t").decode("latin-1")
    return given, rest
