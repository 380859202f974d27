"""A replica as any HTTP client sees it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from rootward.modules import ModuleBase, ServerModule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.orchestrator import Client


class Size(ModuleBase):
    def forward(self, text: str) -> int:
        if not text:
            raise LookupError("there is nothing to measure")
        return len(text)


@pytest.fixture
def url(client: Client, name: str) -> Iterator[str]:
    deployment = client.submit(ServerModule(Size()), name=name).wait(30)
    yield client.gateway.endpoints(name)[0].url
    deployment.stop()


def post(url: str, value: Any) -> tuple[int, Any]:
    body = json.dumps(value).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_call_with_arguments_or_with_one_value(url: str) -> None:
    assert post(f"{url}/call", {"args": ["abc"]}) == (200, {"result": 3})
    assert post(f"{url}/call", {"kwargs": {"text": "ab"}}) == (200, {"result": 2})
    assert post(url, "abcd") == (200, {"result": 4})


def test_a_body_that_is_too_large_is_told_so(url: str) -> None:
    status, answer = post(url, "x" * (17 << 20))
    assert (status, answer["error"]["type"]) == (413, "TooLarge")


def test_the_callers_fault_and_the_modules(url: str) -> None:
    status, answer = post(f"{url}/call", {"args": [1, 2, 3]})
    assert (status, answer["error"]["type"]) == (400, "TypeError")
    status, answer = post(f"{url}/call", {"args": [5]})
    assert (status, answer["error"]["type"]) == (422, "ValidationError")
    assert answer["error"]["message"].startswith("text: ")
    status, answer = post(f"{url}/call", {"args": [""]})
    assert (status, answer["error"]["type"]) == (500, "LookupError")
