"""Errors as pages, for a browser that was led to what isn't there; programs get JSON.

Everything that comes from a request is escaped. The policy is that of all pages: nothing is loaded
from anywhere else, and no script or style stands in the page itself.
"""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data:; worker-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_TITLES: Final = {401: "Sign in first", 404: "This isn't here", 405: "This isn't a page"}


def wants_page(method: str, accept: str) -> bool:
    """Whether a request comes from somebody who opened an address in a browser."""
    return method in {"GET", "HEAD"} and "text/html" in accept


def accepts(lines: Iterable[bytes]) -> str:
    """Return what a request's header lines say that it accepts."""
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"accept":
            return value.decode("latin-1").strip().lower()
    return ""


def error_page(status: int, message: str) -> bytes:
    """Return a whole page that says what is wrong and leads home."""
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} - rootward</title>"
        '<link rel="icon" href="/assets/mark.svg">'
        '<script src="/assets/theme.js"></script>'
        '<link rel="stylesheet" href="/assets/css/base.css">'
        '<link rel="stylesheet" href="/assets/css/views.css"></head>'
        '<body><main class="lonely"><p class="brand"><img src="/assets/mark.svg" alt="" width="18"'
        f' height="18"> rootward</p><h1>{escape(title)}</h1><p dir="auto">{escape(message)}</p>'
        '<p><a href="/">Home</a></p></main></body></html>'
    ).encode()
