"""The routes that the dashboard lives by: snapshot and stream, logs, history, one module, session.

Every answer has the server's time. What may be long is given in pages, and as changes since a
version that the reader knows. Who may ask was decided before a request comes here.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..live.feed import MOST_WATCHED, STREAMS
from .answers import event_stream, zipped
from .logs import LogRoutes
from .requests import BadInput, error_response, is_event_id, json_object, whole_number

if TYPE_CHECKING:
    from starlette.requests import Request

    from ..frontend.server import Door
    from ..live.feed import Feed
    from .api import Api

_PAGE: Final = 100
_LONGEST_ID: Final = 300


class LiveApi:
    """The routes of one gateway's board."""

    def __init__(self, feed: Feed, api: Api, door: Door) -> None:
        self._feed, self._api, self._door = feed, api, door
        self._logs = LogRoutes(api, lambda: door.is_draining)

    def routes(self) -> list[Route]:
        """Return them for the application."""
        name = "/api/deployments/{name}"
        return [
            Route("/api/board", self.board),
            Route("/api/board/stream", self.stream),
            Route("/api/session", self.session, methods=["GET", "POST"]),
            Route(f"{name}/history", self.history),
            Route(f"{name}/tasks", self.tasks),
            Route(f"{name}/logs", self._logs.logs),
        ]

    async def board(self, request: Request) -> Response:
        """Return what is shown of everything, or what is newer than `since`."""
        places = _places(request.query_params.getlist("watch"))
        since = request.query_params.get("since", "")
        changes = await self._feed.snapshot(since, places)
        etag = f'"{changes.version}"'
        if not since and request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"etag": etag})
        return zipped(request, changes.to_text(time.time()).encode(), {"etag": etag})

    async def stream(self, request: Request) -> Response:
        """Stream the same as server-sent events: a snapshot, changes, a beat each 2 s."""
        places = _places(request.query_params.getlist("watch"))
        if self._feed.streams >= STREAMS:
            return error_response(503, "Unavailable", f"{STREAMS} streams are open")
        since = request.headers.get("last-event-id") or request.query_params.get("since", "")
        told = self._feed.stream(since, places, lambda: self._door.is_draining)
        return event_stream(told)

    async def session(self, request: Request) -> Response:
        """Say whether changes may be made; reading was allowed, or this wouldn't be answered."""
        if request.method == "POST":
            return await self._sign_in(request)
        is_signed_in = self._door.access.sessions.is_known(
            request.headers.get("cookie", "").encode("latin-1")
        )
        return JSONResponse(
            {
                "signed_in": is_signed_in,
                "needs_token": self._door.access.needs_token,
                "now": time.time(),
            }
        )

    async def _sign_in(self, request: Request) -> Response:
        """Take `{"token": TEXT}` for a cookie; `{}` signs out."""
        given = await json_object(request)
        sessions = self._door.access.sessions
        is_secure = request.headers.get("x-forwarded-proto") == "https"
        if not given:
            answer = JSONResponse({"signed_in": False})
            answer.headers["set-cookie"] = sessions.cookie("", lasts_s=0, is_secure=is_secure)
            return answer
        token = given.get("token")
        if given.keys() != {"token"} or not isinstance(token, str) or len(token) > 4096:
            raise BadInput('the body must be {"token": TEXT}, or {} to sign out')
        value = sessions.sign_in(token)
        if value is None:
            left = sessions.tries_left
            more = f"{left} {'try' if left == 1 else 'tries'} left this minute."
            message = f"That is not this gateway's token. {more}"
            return error_response(403 if left else 429, "WrongToken", message)
        answer = JSONResponse({"signed_in": True})
        answer.headers["set-cookie"] = sessions.cookie(value, is_secure=is_secure)
        return answer

    async def history(self, request: Request) -> Response:
        """Return a page of a generation's or a name's events, the newest first."""
        deployment = await self._api.deployment_of(request)
        before = request.query_params.get("before", "+")
        limit = whole_number(request, "limit", _PAGE, 1, 1000)
        if before != "+" and not is_event_id(before):
            raise BadInput("before must be an id of an event")
        generation = deployment.generation if "@" in request.path_params["name"] else None
        module = request.query_params.get("module")
        found, more = await self._api.read(
            lambda: _page_of(self._api.store, deployment.name, generation, module, before, limit)
        )
        document = {"events": [e.to_json() for e in found], "more": more, "now": time.time()}
        return zipped(request, json.dumps(document).encode())

    async def tasks(self, request: Request) -> Response:
        """Return the tasks of one module with their tracebacks and earlier attempts."""
        deployment = await self._api.deployment_of(request)
        module = request.query_params.get("module")
        if module is None or len(module) > 10_000:
            raise BadInput("give the module: ?module=PATH")
        place = (deployment.name, deployment.generation)
        found = await self._api.read(lambda: self._api.store.tasks.of(*place))
        mine = [task for task in found if task.path == module]
        document = {
            "tasks": [
                {
                    "id": t.id,
                    "kind": str(t.kind),
                    "state": str(t.state),
                    "attempt": t.attempt,
                    "worker": t.worker,
                    "queued_at": t.queued_at,
                    "started_at": t.started_at,
                    "ended_at": t.ended_at,
                    "reason": t.reason,
                    "error": dict(t.error) if t.error else None,
                }
                for t in mine
            ],
            "now": time.time(),
        }
        return zipped(request, json.dumps(document).encode())


def _places(given: list[str]) -> list[tuple[str, int]]:
    if len(given) > MOST_WATCHED:
        raise BadInput(f"at most {MOST_WATCHED} generations are watched at once")
    places = []
    for text in given:
        name, at, number = text.rpartition("@")
        is_number = number.isascii() and number.isdecimal() and len(number) < 10
        if not (at and name and is_number) or len(text) > _LONGEST_ID or not text.isprintable():
            raise BadInput("watch must be NAME@GENERATION")
        places.append((name, int(number)))
    return places


def _page_of(
    store: Any, name: str, generation: int | None, module: str | None, before: str, limit: int
) -> tuple[list[Any], bool]:
    """Return up to `limit` events before an id, newest first, and whether there are more."""
    found: list[Any] = []
    while len(found) <= limit:
        page = store.history.events_before(name, before, 500)
        for event in page:
            before = event.id
            if generation in {None, event.generation} and module in {None, event.path}:
                found.append(event)
        if len(page) < 500:
            break
    return found[:limit], len(found) > limit
