"""Each row of the table in docs/security.md that is about the ports of replicas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rootward.modules.rpc import envelope, proof
from tests.support.replicas import CALL_TOKEN, KEY, TOKEN, ServedFunction

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = ("/healthz", "/readyz", "/metrics", "/openapi.json")
NAMED = f"X-Rootward-Token: {TOKEN}"
BEARER = f"Authorization: Bearer {CALL_TOKEN}"


def double(x: int) -> int:
    return 2 * x


@pytest.fixture(scope="module")
def near() -> Iterator[ServedFunction]:
    """A replica that listens on loopback."""
    with ServedFunction(double) as served:
        yield served


@pytest.fixture(scope="module")
def far() -> Iterator[ServedFunction]:
    """A replica that other machines reach."""
    with ServedFunction(double, host="0.0.0.0") as served:
        yield served


def asked(served: ServedFunction, path: str, *lines: str, host: str = "") -> int:
    """Return the status of a call, or of the page at `path`."""
    name = host or "{}:{}".format(*served.address)
    body = "4" if path == "/" else '{"args": [4]}' if path == "/call" else ""
    method = "POST" if body else "GET"
    head = [f"{method} {path} HTTP/1.1", f"Host: {name}", *lines, f"Content-Length: {len(body)}"]
    return served.ask("\r\n".join([*head, "", body]).encode())[0]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:80", "LOCALHOST:9"])
@pytest.mark.parametrize("path", ["/", "/call", *PAGES])
def test_who_is_on_the_machine_may_ask_everything(
    near: ServedFunction, path: str, host: str
) -> None:
    assert asked(near, path, host=host) == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
@pytest.mark.parametrize("path", ["/", "/call", *PAGES])
def test_a_foreign_name_of_our_address_opens_nothing(
    near: ServedFunction, path: str, host: str
) -> None:
    """A page of that name reads what its browser is answered (DNS rebinding)."""
    assert asked(near, path, host=host) == 421


@pytest.mark.parametrize(
    "lines",
    [
        ("Sec-Fetch-Site: cross-site",),
        ("Sec-Fetch-Site: same-site",),
        ("Origin: http://evil.example",),
        ("Origin: null",),
        ("Origin: http://127.0.0.1:3000", "Content-Type: text/plain"),
        ("Origin: http://localhost:3000", "Sec-Fetch-Site: same-site", "Content-Type: text/plain"),
        ("Origin: http://evil.example", BEARER),
    ],
)
@pytest.mark.parametrize("path", ["/", "/call", "/metrics", "/openapi.json"])
def test_pages_of_other_sites_and_of_other_ports_may_ask_nothing(
    near: ServedFunction, path: str, lines: tuple[str, ...]
) -> None:
    assert asked(near, path, *lines) == 403


def test_a_page_of_the_very_same_address_may_call(near: ServedFunction) -> None:
    host = "{}:{}".format(*near.address)
    assert asked(near, "/", f"Origin: http://{host}", "Sec-Fetch-Site: same-origin") == 200


@pytest.mark.parametrize("path", ["/", "/call", "/metrics", "/openapi.json"])
def test_off_loopback_everything_but_the_health_wants_the_token(
    far: ServedFunction, path: str
) -> None:
    for lines in ((), ("Authorization: Bearer wrong",), ("Authorization: Bearer ",), (NAMED,)):
        assert asked(far, path, *lines, host="anything.example") == 401
    for lines in ((BEARER,), (NAMED, BEARER), (f"X-Rootward-Token: {CALL_TOKEN}",)):
        assert asked(far, path, *lines, host="anything.example") == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_off_loopback_everyone_may_ask_for_the_health(far: ServedFunction, path: str) -> None:
    assert asked(far, path, host="anything.example") == 200


@pytest.mark.parametrize("path", ["/", "/call", "/readyz", "/metrics", "/openapi.json"])
def test_who_means_another_replica_is_told_so(near: ServedFunction, path: str) -> None:
    assert asked(near, path, "X-Rootward-Token: of another") == 421


def test_a_signed_call_needs_no_token(far: ServedFunction) -> None:
    body = envelope.seal_call((4,), {}, KEY, TOKEN)
    head = f"POST /call HTTP/1.1\r\nHost: x\r\nContent-Type: {envelope.CALL_TYPE}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    status, _, answer = far.ask(request)
    assert status == 200
    assert envelope.open_answer(answer, KEY, envelope.answer_context(body)) == 8


def test_a_challenge_is_answered_by_a_proof(far: ServedFunction) -> None:
    challenge = proof.new_challenge()
    status, _, answer = far.ask(proof.request("x", challenge))
    assert status == 200
    proof.check(KEY, TOKEN, challenge, answer)
    plain = far.ask(proof.request("x", "no challenge"))[2]
    assert json.loads(plain) == {"status": "ok"}
