"""What a replica says of itself: an OpenAPI document made of the signature of its `forward`.

Parameters become fields of `args` and `kwargs`, with the schemas that pydantic makes of their
annotations: those by which the arguments of a call are checked. What a type refers to stands under
`components`.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .parameters import Parameters

# No class of the user's has a name with a dot, so none is in its way.
_ERROR: Final = "rootward.Error"
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
_NAMED: Final = (
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


def document(
    path: str, parameters: Parameters | None, meaning: str | None, *, has_post: bool = False
) -> dict[str, Any]:
    """Return the document of the service at `path`; its addresses are relative to its own.

    With `has_post` the result is what that makes of it, which nobody can tell.
    """
    schemas: dict[str, Any] = {}
    returned = {} if parameters is None or has_post else parameters.schema("return", schemas)
    arguments, value = _arguments(parameters, schemas), _first(parameters, schemas)
    about = {
        "description": meaning or "",
        "x-signature": "" if parameters is None else f"forward{parameters.signature}",
        "responses": _responses(returned),
    }

    def operation(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        return {"post": {"summary": summary, **about, "requestBody": body}}

    texts = {"type": {"type": "string"}, "message": {"type": "string"}}
    inner = {"type": "object", "required": ["type", "message"], "properties": texts}
    error = {"type": "object", "required": ["error"], "properties": {"error": inner}}
    return {
        "openapi": "3.1.0",
        "info": {"title": path, "version": "1"},
        "servers": [{"url": "."}],
        "paths": {
            "/call": operation("Call it with arguments.", arguments),
            "/": operation("Call it with one value.", value),
        },
        "components": {"schemas": {**schemas, _ERROR: error}},
    }


def _responses(returned: dict[str, Any]) -> dict[str, Any]:
    """Return what is answered, where the result has the schema `returned`."""
    result = {"type": "object", "required": ["result"], "properties": {"result": returned}}
    error = {"application/json": {"schema": {"$ref": f"#/components/schemas/{_ERROR}"}}}
    return {
        "200": {
            "description": "What `forward` returned, or its items as they come.",
            "content": {
                "application/json": {"schema": result},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        "422": {
            "description": "An argument doesn't fit its annotation; the message names it.",
            "content": error,
        },
        "default": {
            "description": "An error: 4xx for the caller's, 5xx for the module's.",
            "content": error,
        },
    }


def _arguments(parameters: Parameters | None, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of `{"args": [...], "kwargs": {...}}`."""
    args: dict[str, Any] = {"type": "array"}
    kwargs: dict[str, Any] = {"type": "object"}
    if parameters is not None:
        given = list(parameters.signature.parameters.values())
        fields = {each.name: _field(parameters, each, schemas) for each in given}
        args["prefixItems"] = [fields[each.name] for each in given if each.kind in _POSITIONAL]
        kwargs["properties"] = {e.name: fields[e.name] for e in given if e.kind in _NAMED}
        for each in given:
            if each.kind is each.VAR_POSITIONAL:
                args["items"] = fields[each.name]
            elif each.kind is each.VAR_KEYWORD:
                kwargs["additionalProperties"] = fields[each.name]
        kwargs["required"] = [
            each.name
            for each in given
            if each.kind is inspect.Parameter.KEYWORD_ONLY and each.default is each.empty
        ]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {"args": args, "kwargs": kwargs},
    }


def _first(parameters: Parameters | None, schemas: dict[str, Any]) -> dict[str, Any]:
    given = [] if parameters is None else list(parameters.signature.parameters.values())
    if parameters is None or not given or given[0].kind not in _POSITIONAL:
        return {}
    return _field(parameters, given[0], schemas)


def _field(
    parameters: Parameters, parameter: inspect.Parameter, schemas: dict[str, Any]
) -> dict[str, Any]:
    schema = parameters.schema(parameter.name, schemas)
    if parameter.default is parameter.empty:
        return schema
    try:
        # A default that has no form in JSON, such as NaN, is left out.
        return {**schema, "default": json.loads(json.dumps(parameter.default, allow_nan=False))}
    except (TypeError, ValueError):
        return schema
