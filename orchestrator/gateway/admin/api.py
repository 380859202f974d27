"""The API: what is deployed, by whom it is run, what happens, and the few things one may change.

It reads the store in threads, so that a slow Redis keeps no call waiting; services are told from
the routing table while Redis is away. Who may ask was decided before a request comes here.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rootward.modules.rpc.bounds import MOST_REPLICAS

from ...errors import OrchestratorError, PlanError, UnknownDeployment, UnknownService
from ...status.documents import deployment_json, worker_json
from ...status.sharing import read_sharing
from .answers import event_stream
from .requests import BadInput, as_whole, error_response, is_event_id, json_object, no_body

if TYPE_CHECKING:
    from starlette.requests import Request

    from ...client.client import Client
    from ...client.deployment import Deployment
    from ...store.store import Store
    from ..proxy.table import RoutedService, Table

T = TypeVar("T")

STREAMS: Final = 32
_BLOCK_MS: Final = 1000
_LIVELY_S: Final = 10.0
_LONGEST_NAME: Final = 300
_WISH: Final = re.compile(r"auto|[0-9]{1,4}\.\.[0-9]{1,4}")


class Api:
    """The routes below `/api` of one gateway."""

    def __init__(self, client: Client, table: Table, is_draining: Callable[[], bool]) -> None:
        self._client, self._table, self._is_draining = client, table, is_draining
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="rootward-api")
        self._stream_pool = ThreadPoolExecutor(STREAMS, thread_name_prefix="rootward-events")
        self._streams = 0

    def routes(self) -> list[Route]:
        """Return them for the application."""
        name = "/api/deployments/{name}"
        return [
            Route("/api/services", self.services),
            Route("/api/workers", self.workers),
            Route("/api/deployments", self.deployments),
            Route(name, self.deployment),
            Route(f"{name}/events", self.events),
            Route(f"{name}/cancel", self.cancel, methods=["POST"]),
            Route(f"{name}/resume", self.resume, methods=["POST"]),
            Route(f"{name}/stop", self.stop, methods=["POST"]),
            Route(f"{name}/scale", self.scale, methods=["POST"]),
            Route(f"{name}/generations", self.generations),
            Route(f"{name}/promote", self.promote, methods=["POST"]),
            Route(f"{name}/rollback", self.rollback, methods=["POST"]),
        ]

    async def services(self, request: Request) -> Response:
        """List the services of the current generations with their replicas."""
        del request
        try:
            found = await self.read(self._client.gateway.services)
        except (RedisError, OSError):
            known = sorted(self._table, key=lambda service: service.view.path)
            return JSONResponse([_from_table(service) for service in known])
        return JSONResponse([service.to_json() for service in found])

    async def workers(self, request: Request) -> Response:
        """List the live workers."""
        del request
        found = await self.read(self._client.workers)
        return JSONResponse([worker_json(record) for record in found])

    async def deployments(self, request: Request) -> Response:
        """List the deployments, the newest first."""
        del request
        found = await self.read(self._client.deployments)
        return JSONResponse([deployment_json(record) for record in found])

    async def deployment(self, request: Request) -> Response:
        """Tell the status of one deployment."""
        deployment = await self.deployment_of(request)
        status = await self.read(deployment.status)
        return JSONResponse(status.to_json())

    async def events(self, request: Request) -> Response:
        """Stream a deployment's history, and what happens from now on, as server-sent events."""
        deployment = await self.deployment_of(request)
        if self._streams >= STREAMS:
            return error_response(503, "Unavailable", f"{STREAMS} streams of events are open")
        after = request.headers.get("last-event-id") or "0-0"
        if not is_event_id(after):
            return error_response(400, "BadRequest", "last-event-id must be an id of an event")
        return event_stream(self._tell(deployment.name, after))

    async def _tell(self, name: str, after: str) -> AsyncIterator[str]:
        self._streams += 1
        try:
            yield ": the history comes first\n\n"
            quiet_s = 0.0
            while not self._is_draining():
                try:
                    cursor = after
                    events = await self.wait_for(
                        lambda: self.store.history.events(name, cursor, _BLOCK_MS)  # noqa: B023
                    )
                except (RedisError, OSError):
                    await asyncio.sleep(_BLOCK_MS / 1000)
                    events = []
                quiet_s = 0.0 if events else quiet_s + _BLOCK_MS / 1000
                if quiet_s >= _LIVELY_S:
                    # Proxies, and we, learn from a write that the reader has gone.
                    quiet_s = 0.0
                    yield ": nothing new\n\n"
                for event in events:
                    after = event.id
                    data = json.dumps(event.to_json())
                    yield f"id: {event.id}\nevent: change\ndata: {data}\n\n"
        finally:
            self._streams -= 1

    async def cancel(self, request: Request) -> Response:
        """Start nothing more of a deployment, and end what runs of it."""
        no_body(await json_object(request))
        deployment = await self.deployment_of(request)
        await self.read(deployment.cancel)
        return await self._told(deployment)

    async def resume(self, request: Request) -> Response:
        """Run what has not succeeded again."""
        no_body(await json_object(request))
        deployment = await self.deployment_of(request)
        await self.read(deployment.resume)
        return await self._told(deployment)

    async def stop(self, request: Request) -> Response:
        """Stop all that a deployment serves, all of its generations unless one is named."""
        no_body(await json_object(request))
        deployment = await self.deployment_of(request)
        if "@" in request.path_params["name"]:
            await self.read(deployment.stop)
        else:
            await self.read(lambda: self._client.store.deployments.stop(deployment.name))
        return await self._told(deployment)

    async def scale(self, request: Request) -> Response:
        """Set how many replicas a service has: `{"service": PATH, "replicas": N}`.

        N is a number, a range such as `"1..8"`, or `"auto"` for what the tree says.
        """
        given = await json_object(request)
        service, replicas = given.get("service"), given.get("replicas")
        if given.keys() != {"service", "replicas"} or not isinstance(service, str):
            raise BadInput('the body must be {"service": PATH, "replicas": N}')
        wish = replicas if isinstance(replicas, str) else as_whole(replicas)
        is_number = isinstance(wish, int) and 0 <= wish <= MOST_REPLICAS
        if not is_number and not (isinstance(wish, str) and _WISH.fullmatch(wish)):
            raise BadInput(
                f"replicas must be a whole number from 0 to {MOST_REPLICAS}, a range such as "
                '"1..8", or "auto"'
            )
        deployment = await self.deployment_of(request)
        await self.read(lambda: self._client.scale(deployment.name, service, wish))
        return await self._told(deployment)

    async def generations(self, request: Request) -> Response:
        """List a deployment's generations, the newest first, and how calls are shared."""
        deployment = await self.deployment_of(request)
        name = deployment.name
        found = await self.read(lambda: self._client.history(name))
        record = await self.read(lambda: self.store.deployments.get(name))
        sharing = await self.read(lambda: read_sharing(self.store, record))
        return JSONResponse(
            {
                "deployment": name,
                "current": None if record is None else record.current,
                "canary": None if sharing is None else sharing.to_json(),
                "generations": [each.to_json() for each in found],
            }
        )

    async def promote(self, request: Request) -> Response:
        """Make a deployment's canary its current generation."""
        no_body(await json_object(request))
        name = request.path_params["name"]
        await self.deployment_of(request)
        return await self._told(await self.read(lambda: self._client.promote(name)))

    async def rollback(self, request: Request) -> Response:
        """Take a canary back, or make an earlier generation current again: `{}` or `{"to": G}`."""
        given = await json_object(request)
        to = as_whole(given.get("to")) if given else None
        if given and (given.keys() != {"to"} or to is None or to < 1):
            raise BadInput('the body must be {} or {"to": GENERATION}')
        deployment = await self.deployment_of(request)
        name = deployment.name
        return await self._told(await self.read(lambda: self._client.rollback(name, to)))

    async def _told(self, deployment: Deployment) -> Response:
        status = await self.read(deployment.status)
        return JSONResponse(status.to_json(), status_code=202)

    @property
    def store(self) -> Store:
        """The store that is read."""
        return self._client.store

    async def deployment_of(self, request: Request) -> Deployment:
        """Return the deployment that a path names; raises UnknownDeployment."""
        name = request.path_params["name"]
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise UnknownDeployment("there is no deployment of that name", name="")
        return await self.read(lambda: self._client.deployment(name))

    async def read(self, function: Callable[[], T]) -> T:
        """Run a read of the store in a thread; fails at once while Redis is known to be away."""
        if self._table.unreached_since is not None:
            # The follower tries again and again already: nobody need wait for the same.
            raise RedisConnectionError("Redis isn't reached at the moment")
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    async def wait_for(self, function: Callable[[], T]) -> T:
        """Run a read that waits in a thread of the streams'."""
        return await asyncio.get_running_loop().run_in_executor(self._stream_pool, function)


async def explained(request: Request, error: Exception) -> Response:
    """Answer with what went wrong, in the form of every error."""
    del request
    match error:
        case BadInput():
            return error_response(400, "BadRequest", str(error))
        case UnknownDeployment() | UnknownService():
            return error_response(404, type(error).__name__, str(error))
        case PlanError():
            return error_response(400, type(error).__name__, str(error))
        case RedisError() | OSError():
            return error_response(
                503, "Unavailable", "Redis isn't reached at the moment", {"retry-after": "1"}
            )
    return error_response(409, type(error).__name__, str(error))


EXPLAINED: Final = (BadInput, OrchestratorError, RedisError, OSError)


def _from_table(service: RoutedService) -> dict[str, Any]:
    view = service.view
    return {
        "service": view.path,
        "deployment": view.deployment,
        "generation": view.generation,
        "state": "ready" if view.endpoints else "unready",
        "endpoints": [
            {
                "url": f"http://{each.host}:{each.port}",
                "replica": each.replica,
                "worker": each.worker,
                "state": "ready",
                "lease_ms": 0,
            }
            for each in view.endpoints
        ],
    }
