"""The OpenAPI document of the gateway's own API; each service has one of its own beside it.

It is written by hand, because it is a promise and not a print of the code: a test sends what it
describes, and what it doesn't, and compares.
"""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_NULL_TEXT: Final = {"type": ["string", "null"]}
_NULL_NUMBER: Final = {"type": ["number", "null"]}
_INTEGER: Final = {"type": "integer"}
_NUMBER: Final = {"type": "number"}
_BOOLEAN: Final = {"type": "boolean"}
_ANY: Final = {"type": "object"}


def document() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rootward gateway",
            "version": "1",
            "description": "What is deployed, and who runs it. Calls of services are described by"
            " each service's own document, /services/NAME/openapi.json.",
        },
        "paths": {**_reads(), **_writes()},
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _reads() -> dict[str, Any]:
    def listing(meaning: str, schema: str) -> dict[str, Any]:
        items = {"type": "array", "items": _ref(schema)}
        told = _json("All of them.", items)
        operation = _operation(f"list{schema}s", meaning, {"200": told}, errors=("503",))
        return {"get": operation}

    health = _json("It serves.", _ref("Health"))
    page = {"content": {"text/plain": {"schema": _TEXT}}, "description": "Prometheus' text."}
    stream = {"content": {"text/event-stream": {"schema": _TEXT}}, "description": "Events."}
    status = _json("Its status.", _ref("Status"))
    names = [_name()]
    return {
        "/healthz": {
            "get": _operation(
                "health",
                "Tell whether it serves.",
                {"200": health, "503": _json("It starts or drains.", _ref("Health"))},
            )
        },
        "/metrics": {"get": _operation("metrics", "Tell what was counted.", {"200": page})},
        "/api/services": listing("List the services of the current generations.", "Service"),
        "/api/workers": listing("List the live workers.", "Worker"),
        "/api/deployments": _with_links(
            listing("List the deployments, the newest first.", "Deployment")
        ),
        "/api/deployments/{name}": {
            "get": _operation(
                "status", "Tell the status of one.", {"200": status}, names, ("400", "404", "503")
            )
        },
        **_live_reads(),
        **_generations(),
        "/api/deployments/{name}/events": {
            "get": _operation(
                "events",
                "Stream its history, then what happens.",
                {"200": stream},
                [*names, {"name": "Last-Event-ID", "in": "header", "schema": _TEXT}],
                ("400", "404", "503"),
            )
        },
    }


def _generations() -> dict[str, Any]:
    told = {"200": _json("The newest first.", _ref("Generations"))}
    meaning = "List its generations, and how calls are shared with a canary."
    operation = _operation("generations", meaning, told, [_name()], ("400", "404", "503"))
    return {"/api/deployments/{name}/generations": {"get": operation}}


def _live_reads() -> dict[str, Any]:
    """What the dashboard lives by."""
    page = {"type": "integer", "minimum": 1, "maximum": 1000}
    tail = {"type": "integer", "minimum": 0, "maximum": 5000}
    watched = {"type": "string", "pattern": "^[a-z0-9._-]{1,100}@[0-9]{1,9}$"}
    watch = {"type": "array", "items": watched, "maxItems": 20}
    board = [_query("since", _TEXT), _query("watch", watch)]
    place = {"type": "string", "pattern": "^[0-9]{1,15}-[0-9]{1,15}$"}
    streamed = {"content": {"text/event-stream": {"schema": _TEXT}}, "description": "Changes."}
    one, errors = "/api/deployments/{name}", ("400", "401", "404", "503")

    def read(id_: str, meaning: str, schema: str, *parameters: dict[str, Any]) -> dict[str, Any]:
        told = {"200": _json(meaning, _ref(schema))}
        return {"get": _operation(id_, meaning, told, list(parameters), errors)}

    unchanged = {"304": {"description": "Nothing has changed since the version of the tag."}}
    boards = read("board", "Show everything, or what is newer than `since`.", "Board", *board)
    boards["get"]["responses"] |= unchanged
    stream = _operation("boardStream", "Stream the same.", {"200": streamed}, board, errors)
    return {
        "/api/board": boards,
        "/api/board/stream": {"get": stream},
        "/api/session": {
            **read("session", "Say whether a browser is signed in.", "Session"),
            "post": _sign_in(),
        },
        f"{one}/history": read(
            "history",
            "Show a page of its events, the newest first.",
            "History",
            *(_name(), _query("before", place), _query("limit", page), _query("module", _TEXT)),
        ),
        f"{one}/tasks": read(
            "tasks",
            "Show the tasks of one module, with tracebacks.",
            "Tasks",
            *(_name(), {**_query("module", _TEXT), "required": True}),
        ),
        f"{one}/logs": read(
            "logs",
            "Show its last lines of output; with `follow`, stream what comes.",
            "Logs",
            *(_name(), _query("module", {"type": "array", "items": _TEXT})),
            *(_query("tail", tail), _query("since", place)),
        ),
    }


def _sign_in() -> dict[str, Any]:
    given = {"type": "object", "additionalProperties": False, "properties": {"token": _TEXT}}
    told = {"200": _json("A cookie was set, or taken away for `{}`.", _ref("SignedIn"))}
    return {
        **_operation("signIn", "Take the token for a cookie.", told, [], ("400", "403", "429")),
        "requestBody": {"required": True, "content": {"application/json": {"schema": given}}},
    }


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _writes() -> dict[str, Any]:
    nothing = {"type": "object", "additionalProperties": False, "maxProperties": 0}
    scale = {
        "type": "object",
        "additionalProperties": False,
        "required": ["service", "replicas"],
        "properties": {
            "service": _TEXT,
            "replicas": {
                "oneOf": [
                    {"type": "integer", "minimum": 0, "maximum": 1000},
                    {"type": "string", "pattern": r"^(auto|[0-9]{1,4}\.\.[0-9]{1,4})$"},
                ]
            },
        },
    }
    back = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"to": {"type": "integer", "minimum": 1}},
    }
    meanings = {
        "cancel": ("Start nothing more of it, and end what runs.", nothing),
        "resume": ("Run what has not succeeded again.", nothing),
        "stop": ("Stop all that it serves.", nothing),
        "scale": ("Set how many replicas one of its services has.", scale),
        "promote": ("Make its canary the current generation.", nothing),
        "rollback": ("Take its canary back, or go back to an earlier generation.", back),
    }
    accepted = {"202": _json("It will be done; how it stands now.", _ref("Status"))}
    return {
        f"/api/deployments/{{name}}/{verb}": {
            "post": {
                **_operation(
                    verb, meaning, accepted, [_name()], ("400", "401", "403", "404", "409", "503")
                ),
                "security": [{"token": []}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": schema}},
                },
            }
        }
        for verb, (meaning, schema) in meanings.items()
    }


def _with_links(listing: dict[str, Any]) -> dict[str, Any]:
    """Say where the names lead that a list of deployments holds."""
    first = {"name": "$response.body#/0/deployment"}
    listing["get"]["responses"]["200"]["links"] = {
        "status": {"operationId": "status", "parameters": first},
        **{
            verb: {"operationId": verb, "parameters": first, "requestBody": {}}
            for verb in ("cancel", "resume", "stop")
        },
    }
    return listing


def _operation(
    id_: str,
    meaning: str,
    answers: dict[str, Any],
    parameters: list[dict[str, Any]] | None = None,
    errors: tuple[str, ...] = (),
) -> dict[str, Any]:
    told = {code: _json("An error.", _ref("Error")) for code in (*errors, "default")}
    return {
        "operationId": id_,
        "summary": meaning,
        "parameters": parameters or [],
        "responses": {**told, **answers},
    }


def _schemas() -> dict[str, Any]:
    error = _object(type=_TEXT, message=_TEXT)
    endpoint = _object(url=_TEXT, replica=_TEXT, worker=_TEXT, state=_TEXT, lease_ms=_INTEGER)
    service = _object(
        service=_TEXT,
        deployment=_TEXT,
        generation=_INTEGER,
        state={"enum": ["ready", "unready", "asleep"]},
        endpoints={"type": "array", "items": endpoint},
    )
    # Of those whose number of replicas isn't the tree's alone.
    service["properties"].update(wanted=_INTEGER, bounds=_NULL_TEXT, why=_NULL_TEXT)
    deployment = _object(
        deployment=_TEXT,
        generation=_INTEGER,
        current={"type": ["integer", "null"]},
        canary={"type": ["integer", "null"]},
        state=_NULL_TEXT,
        reason=_NULL_TEXT,
        created_at=_NULL_NUMBER,
        ended_at=_NULL_NUMBER,
    )
    worker = _object(worker=_TEXT, id=_TEXT, state=_TEXT, slots=_INTEGER, lease_ms=_INTEGER)
    health = _object(status=_TEXT, services=_INTEGER, registry=_TEXT, stale_s=_NULL_NUMBER)
    return {
        "Error": _object(error=error),
        "Service": service,
        "Deployment": deployment,
        "Status": _status(),
        "Worker": worker,
        "Health": health,
        "Board": _object(version=_TEXT, now=_NUMBER, whole=_BOOLEAN, set=_ANY, drop=_list(_TEXT)),
        "Session": _object(signed_in=_BOOLEAN, needs_token=_BOOLEAN, now=_NUMBER),
        "SignedIn": _object(signed_in=_BOOLEAN),
        "Generations": _object(
            deployment=_TEXT,
            current={"type": ["integer", "null"]},
            canary={"type": ["object", "null"]},
            generations=_list(_ANY),
        ),
        "History": _object(events=_list(_ANY), more=_BOOLEAN, now=_NUMBER),
        "Tasks": _object(tasks=_list(_ANY), now=_NUMBER),
        "Logs": _object(lines=_list(_ANY), last=_TEXT, now=_NUMBER),
    }


def _status() -> dict[str, Any]:
    status = _object(
        deployment=_TEXT,
        generation=_INTEGER,
        state=_TEXT,
        reason=_NULL_TEXT,
        created_at=_NULL_NUMBER,
        ended_at=_NULL_NUMBER,
        tasks={"type": "array", "items": {"type": "object"}},
        services={"type": "array", "items": _ref("Service")},
        evaluations=_list(_ANY),
    )
    # While there is one.
    status["properties"]["canary"] = {"type": "object"}
    return status


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _ref(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _json(meaning: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": meaning, "content": {"application/json": {"schema": schema}}}


def _name() -> dict[str, Any]:
    return {"name": "name", "in": "path", "required": True, "schema": _TEXT}
