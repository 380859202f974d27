"""The services of the current generations, for a program: list them, look them up, call them.

Calls go straight to a ready replica by way of the local copy of the registry; holding, balancing
and repeating is done by `rootward.modules.rpc.client`, as for calls inside a tree. A service is
named by its path, the deployment's name being the first part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..status.read_status import read_services
from .unknown import unknown_service
from .ways import Ways

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from ..errors import UnknownService
    from ..status.status import EndpointStatus, ServiceStatus
    from ..store.records import Change, GenerationRecord
    from .connected import Connected
    from .ways import Way

HOLD_S = 10.0
BLOCK_MS = 1000


class Gateway:
    """The registry of endpoints as `client.gateway`."""

    def __init__(self, client: Connected) -> None:
        self._client = client
        self._ways = Ways(client)

    def services(self) -> list[ServiceStatus]:
        """Return the services of all current generations, each with its live replicas."""
        return [
            service
            for record in self._current_generations()
            for service in read_services(self._client.store, record)
        ]

    def service(self, service: str) -> ServiceStatus:
        """Return one service; raises UnknownService, which tells near ones."""
        for record in self._ways.generations_of(service):
            for each in read_services(self._client.store, record):
                if each.service == service:
                    return each
        raise self._unknown(service)

    def endpoints(self, service: str) -> list[EndpointStatus]:
        """Return the live replicas of a service; raises UnknownService."""
        return list(self.service(service).endpoints)

    def call(
        self,
        service: str,
        /,
        *args: Any,
        hold: float = HOLD_S,
        generation: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call the module's `forward` on a ready replica and return its result.

        While none is ready but one is on its way, the call is held for up to `hold` seconds; then
        it is Unavailable. `generation` picks one; else the current one answers, and a canary its
        share of the calls. A command is posted the one value as JSON, and returns what it answers.
        Raises UnknownService, and what `forward` raised.
        """
        from rootward.modules.rpc import client, foreign

        way = self._way_to(service, hold, generation)
        with self._ways.counted(way) as on_status:
            if way.is_foreign:
                return foreign.post(
                    way.routes, service, args, kwargs, hold=way.hold_s, on_status=on_status
                )
            return client.call(
                way.routes,
                service,
                args,
                kwargs,
                hold=way.hold_s,
                repeatable=way.repeatable,
                on_status=on_status,
            )

    def stream(
        self,
        service: str,
        /,
        *args: Any,
        hold: float = HOLD_S,
        generation: int | None = None,
        **kwargs: Any,
    ) -> Generator[Any]:
        """Call a module whose `forward` is a generator, and yield each item as it comes."""
        from rootward.modules.rpc import client, foreign

        way = self._way_to(service, hold, generation)
        with self._ways.counted(way) as on_status:
            if way.is_foreign:
                hold_s = way.hold_s
                yield from foreign.post_for_lines(way.routes, service, args, kwargs, hold=hold_s)
                return
            yield from client.stream(
                way.routes,
                service,
                args,
                kwargs,
                hold=way.hold_s,
                repeatable=way.repeatable,
                on_status=on_status,
            )

    def close(self) -> None:
        """Report what has been counted of canaries; twice is harmless."""
        self._ways.report(is_last=True)

    async def acall(self, service: str, /, *args: Any, **kwargs: Any) -> Any:
        """Do what `call` does, from a coroutine; the waiting is a thread's."""
        import asyncio

        return await asyncio.to_thread(self.call, service, *args, **kwargs)

    async def astream(self, service: str, /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Do what `stream` does, from a coroutine; the waiting is a thread's."""
        import asyncio

        items = self.stream(service, *args, **kwargs)
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

    def _way_to(self, service: str, hold_s: float, generation: int | None) -> Way:
        way = self._ways.to(service, hold_s, generation)
        if way is None:
            raise self._unknown(service)
        return way

    def _current_generations(self) -> Iterator[GenerationRecord]:
        store = self._client.store
        for deployment in store.deployments.all():
            if deployment.current is not None:
                record = store.deployments.generation(deployment.name, deployment.current)
                if record is not None:
                    yield record

    def _unknown(self, service: str) -> UnknownService:
        return unknown_service(service, [each.service for each in self.services()])
