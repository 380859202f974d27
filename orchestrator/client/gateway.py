"""The services of the current generations, for a program: list them, look them up, call them.

Calls go straight to a ready replica by way of the local copy of the registry; holding, balancing
and repeating is done by `rootward.modules.rpc.client`, as for calls inside a tree. A service is
named by its path, the deployment's name being the first part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..states import DeploymentState
from ..status.read_status import read_plan, read_services
from .unknown import unknown_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from rootward.modules.rpc.endpoints import Routes

    from ..errors import UnknownService
    from ..planning.graph import Service
    from ..status.status import EndpointStatus, ServiceStatus
    from ..store.records import Change, GenerationRecord
    from .connected import Connected

HOLD_S = 10.0
BLOCK_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How one call goes: by which routes, held for how long, to what; None is not known."""

    routes: Routes
    hold_s: float
    to: Service | None

    @property
    def repeatable(self) -> bool:
        """Whether the call may be sent again."""
        return self.to is None or self.to.repeatable

    @property
    def is_foreign(self) -> bool:
        """Whether a foreign server answers, which knows nothing of calls."""
        return self.to is not None and self.to.is_foreign


class Gateway:
    """The registry of endpoints as `client.gateway`."""

    def __init__(self, client: Connected) -> None:
        self._client = client
        self._planned: dict[str, tuple[int, dict[str, Service]]] = {}

    def services(self) -> list[ServiceStatus]:
        """Return the services of all current generations, each with its live replicas."""
        return [
            service
            for record in self._current_generations()
            for service in read_services(self._client.store, record)
        ]

    def service(self, service: str) -> ServiceStatus:
        """Return one service; raises UnknownService, which tells near ones."""
        record = self._generation_of(service)
        if record is not None:
            for each in read_services(self._client.store, record):
                if each.service == service:
                    return each
        raise self._unknown(service)

    def endpoints(self, service: str) -> list[EndpointStatus]:
        """Return the live replicas of a service; raises UnknownService."""
        return list(self.service(service).endpoints)

    def call(self, service: str, /, *args: Any, hold: float = HOLD_S, **kwargs: Any) -> Any:
        """Call the module's `forward` on a ready replica and return its result.

        While none is ready but one is on its way, the call is held for up to `hold` seconds; then
        it is Unavailable. A command is posted the one value as JSON, and returns what it answers.
        Raises UnknownService, and what `forward` raised.
        """
        from rootward.modules.rpc import client, foreign

        way = self._way_to(service, hold)
        if way.is_foreign:
            return foreign.post(way.routes, service, args, kwargs, hold=way.hold_s)
        return client.call(
            way.routes, service, args, kwargs, hold=way.hold_s, repeatable=way.repeatable
        )

    def stream(
        self, service: str, /, *args: Any, hold: float = HOLD_S, **kwargs: Any
    ) -> Generator[Any]:
        """Call a module whose `forward` is a generator, and yield each item as it comes."""
        from rootward.modules.rpc import client, foreign

        way = self._way_to(service, hold)
        if way.is_foreign:
            yield from foreign.post_for_lines(way.routes, service, args, kwargs, hold=way.hold_s)
            return
        yield from client.stream(
            way.routes, service, args, kwargs, hold=way.hold_s, repeatable=way.repeatable
        )

    async def acall(self, service: str, /, *args: Any, hold: float = HOLD_S, **kwargs: Any) -> Any:
        """Do what `call` does, from a coroutine; the waiting is a thread's."""
        import asyncio

        return await asyncio.to_thread(self.call, service, *args, hold=hold, **kwargs)

    async def astream(
        self, service: str, /, *args: Any, hold: float = HOLD_S, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Do what `stream` does, from a coroutine; the waiting is a thread's."""
        import asyncio

        items = self.stream(service, *args, hold=hold, **kwargs)
        end = object()
        try:
            while (item := await asyncio.to_thread(next, items, end)) is not end:
                yield item
        finally:
            await asyncio.to_thread(items.close)

    def watch(self) -> Iterator[Change]:
        """Yield every change of the registry from now on, without end."""
        store = self._client.store
        after = store.registry.changes_end()
        while True:
            for change in store.registry.changes(after, block_ms=BLOCK_MS):
                after = change.id
                yield change

    def _way_to(self, service: str, hold_s: float) -> _Way:
        from rootward.modules.errors import Unavailable

        name = service.partition("/")[0]
        registry = self._client.registry
        routes = registry.routes(name)
        current = registry.current(name)
        # With a ready replica in the local copy, a call costs Redis nothing.
        if current is None or not routes.endpoints(service):
            record = self._generation_of(service)
            if record is None or service not in record.services:
                raise self._unknown(service)
            if current is None and record.state is DeploymentState.FAILED:
                # The ready replicas of a first generation that failed stay.
                routes = registry.routes(name, record.generation)
            # What has ended brings no replica: holding the call would only hide that.
            if record.state.is_final or record.state is DeploymentState.STOPPING:
                if not routes.endpoints(service):
                    raise Unavailable(
                        f"{service} has no replica, for {name}@{record.generation} is "
                        f"{record.state}: `rootward resume {name}` brings it back"
                    )
                hold_s = 0.0
            current = record.generation
        to = self._services_in(name, current).get(service)
        return _Way(routes=routes, hold_s=hold_s, to=to)

    def _services_in(self, name: str, generation: int) -> dict[str, Service]:
        if self._planned.get(name, (0, {}))[0] != generation:
            plan = read_plan(self._client.store, self._client.signer, name, generation)
            services = plan.services if plan is not None else ()
            self._planned[name] = (generation, {each.path: each for each in services})
        return self._planned[name][1]

    def _generation_of(self, service: str) -> GenerationRecord | None:
        """Return the generation that serves it, or is about to as the first of its name."""
        store = self._client.store
        name = service.partition("/")[0]
        record = store.deployments.get(name)
        if record is None:
            return None
        return store.deployments.generation(name, record.current or record.latest)

    def _current_generations(self) -> Iterator[GenerationRecord]:
        store = self._client.store
        for deployment in store.deployments.all():
            if deployment.current is not None:
                record = store.deployments.generation(deployment.name, deployment.current)
                if record is not None:
                    yield record

    def _unknown(self, service: str) -> UnknownService:
        return unknown_service(service, [each.service for each in self.services()])
