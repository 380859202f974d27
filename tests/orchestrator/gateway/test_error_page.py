"""Errors as pages for browsers and JSON for programs; nothing of a request is markup."""

from __future__ import annotations

import pytest

from rootward.orchestrator.gateway.frontend.error_page import accepts, error_page, wants_page
from rootward.orchestrator.gateway.frontend.responses import RefusedRequest, refusal

MARKUP = "<script>alert(1)</script>"


def test_a_page_escapes_what_it_was_asked_for() -> None:
    page = error_page(404, f"there is no service {MARKUP}").decode()
    assert MARKUP not in page
    assert "&lt;script&gt;" in page
    assert " style=" not in page


@pytest.mark.parametrize(
    ("method", "accept", "expected"),
    [
        ("GET", "text/html,application/xhtml+xml", True),
        ("GET", "application/json", False),
        ("GET", "*/*", False),
        ("POST", "text/html", False),
    ],
)
def test_only_who_opens_an_address_in_a_browser_gets_a_page(
    method: str, accept: str, expected: bool
) -> None:
    assert wants_page(method, accept) is expected
    assert accepts([b"User-Agent: x", b"Accept: " + accept.encode()]) == accept


def test_a_refused_page_has_the_policy_of_all_pages() -> None:
    answer = refusal(RefusedRequest(404, "no"), keep_alive=True, as_page=True)
    assert b"content-security-policy: default-src 'none'; script-src 'self'" in answer
    assert b"text/html" in answer
    assert b"application/json" in refusal(RefusedRequest(404, "no"), keep_alive=True)
