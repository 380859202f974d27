"""Reading what requests to the API hold, and the form of its errors.

Everything is checked before anything is done; what can't be meant is `BadInput`, answered 400.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class BadInput(Exception):
    """A request that can't be meant; answered 400."""


def error_response(
    status: int, kind: str, message: str, headers: dict[str, str] | None = None
) -> Response:
    """Return an error in the form that all answers have."""
    return JSONResponse({"error": {"type": kind, "message": message}}, status, headers)


async def json_object(request: Request) -> dict[str, Any]:
    """Return the object that a body holds; raises BadInput."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A form, or plain text, is what a page of another site could send.
        raise BadInput("send application/json")
    try:
        given = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadInput("the body is no JSON") from error
    if not isinstance(given, dict):
        raise BadInput("the body must be an object")
    return given


def no_body(given: dict[str, Any]) -> None:
    """Refuse an object that isn't empty."""
    if given:
        raise BadInput("the body must be {}")


def as_whole(value: Any) -> int | None:
    """Return a whole number as JSON has them: 2 and 2.0 are one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if value == value // 1 else None


def whole_number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """Return a parameter of the query; raises BadInput unless it is a number in the range."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise BadInput(f"{name} must be a whole number from {least} to {most}")
    number = int(text)
    if not least <= number <= most:
        raise BadInput(f"{name} must be a whole number from {least} to {most}")
    return number


def is_event_id(text: str) -> bool:
    """Whether a text has the form of a stream's id."""
    first, dash, second = text.partition("-")
    parts = (first, second) if dash else (first,)
    return all(part.isascii() and part.isdecimal() and len(part) <= 15 for part in parts)
