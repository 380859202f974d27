"""What a replica says of itself: an OpenAPI document made of the signature of its `forward`.

Parameters become fields of `args` and `kwargs`; annotations become JSON types where they have one,
and anything else is any value. It describes what may be sent, it checks nothing: a call is bound to
the signature itself.
"""

from __future__ import annotations

import inspect
import math
import types
import typing
from typing import Any, Final

_TYPES: Final[dict[Any, dict[str, Any]]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    set: {"type": "array"},
    dict: {"type": "object"},
    type(None): {"type": "null"},
}
_BY_NAME: Final = {kind.__name__: schema for kind, schema in _TYPES.items()}
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
_NAMED: Final = (
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)
_DEPTH: Final = 8


def document(path: str, signature: inspect.Signature | None, meaning: str | None) -> dict[str, Any]:
    """Return the document of the service at `path`; its addresses are relative to its own."""
    error = {
        "description": "An error: 4xx for the caller's, 5xx for the module's.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    result = {
        "description": "What `forward` returned, or its items as they come.",
        "content": {
            "application/json": {"schema": {"type": "object", "required": ["result"]}},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    }

    def operation(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "summary": summary,
            "description": meaning or "",
            "x-signature": f"forward{signature}" if signature is not None else "",
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {"200": result, "default": error},
        }

    texts = {"type": {"type": "string"}, "message": {"type": "string"}}
    inner = {"type": "object", "required": ["type", "message"], "properties": texts}
    return {
        "openapi": "3.1.0",
        "info": {"title": path, "version": "1"},
        "servers": [{"url": "."}],
        "paths": {
            "/call": {"post": operation("Call it with arguments.", _arguments(signature))},
            "/": {"post": operation("Call it with one value.", _first(signature))},
        },
        "components": {
            "schemas": {
                "Error": {"type": "object", "required": ["error"], "properties": {"error": inner}}
            }
        },
    }


def schema_of(annotation: Any, depth: int = 0) -> dict[str, Any]:
    """Return the JSON schema of an annotation, `{}` (any value) where there is none."""
    if isinstance(annotation, str):
        return dict(_BY_NAME.get(annotation, {}))
    if depth > _DEPTH:
        return {}
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in {typing.Union, types.UnionType}:
        return {"anyOf": [schema_of(each, depth + 1) for each in inner]}
    if origin is typing.Literal:
        return {"enum": list(inner)}
    if origin in {list, set, tuple} and inner:
        return {"type": "array", "items": schema_of(inner[0], depth + 1)}
    if origin is dict and len(inner) == 2:
        return {"type": "object", "additionalProperties": schema_of(inner[1], depth + 1)}
    try:
        return dict(_TYPES.get(origin or annotation, {}))
    except TypeError:
        # An annotation may be anything, also what can't be looked up.
        return {}


def _arguments(signature: inspect.Signature | None) -> dict[str, Any]:
    """Return the schema of `{"args": [...], "kwargs": {...}}`."""
    args: dict[str, Any] = {"type": "array"}
    kwargs: dict[str, Any] = {"type": "object"}
    if signature is not None:
        given = list(signature.parameters.values())
        args["prefixItems"] = [_field(each) for each in given if each.kind in _POSITIONAL]
        kwargs["properties"] = {each.name: _field(each) for each in given if each.kind in _NAMED}
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


def _first(signature: inspect.Signature | None) -> dict[str, Any]:
    given = [] if signature is None else list(signature.parameters.values())
    return _field(given[0]) if given and given[0].kind in _POSITIONAL else {}


def _field(parameter: inspect.Parameter) -> dict[str, Any]:
    schema = {} if parameter.annotation is parameter.empty else schema_of(parameter.annotation)
    default = parameter.default
    # A default that is NaN or infinite has no form in JSON.
    is_finite = isinstance(default, float) and math.isfinite(default)
    if is_finite or default is None or isinstance(default, (bool, int, str)):
        schema["default"] = default
    return schema
