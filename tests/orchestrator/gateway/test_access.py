"""Who may ask the gateway for what: hosts, origins, tokens, and the file that the token is in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.gateway import tokens
from rootward.orchestrator.gateway.access import Access
from rootward.orchestrator.gateway.frontend.connection import right_of
from rootward.orchestrator.gateway.frontend.responses import RefusedRequest
from rootward.orchestrator.gateway.limits import Limits
from rootward.orchestrator.gateway.sessions import TRIES, Sessions
from rootward.orchestrator.http.framing import read_request
from rootward.orchestrator.settings import SettingsError
from tests.support.doors import TOKEN, House, post

if TYPE_CHECKING:
    from pathlib import Path

BEARER = f"Authorization: Bearer {TOKEN}"
SESSIONS = Sessions(TOKEN)
COOKIE = f"Cookie: a=b; {SESSIONS.name}={SESSIONS.value(4e9)}"
OLD_COOKIE = f"Cookie: {SESSIONS.name}={SESSIONS.value(1.6e9)}"
READ, CALL = "GET /api/services", "POST /services/app/call"
WRITE, PAGE, SIGN_IN = "POST /api/deployments/app/stop", "GET /", "POST /api/session"
HERE, AWAY = "127.0.0.1", "0.0.0.0"


def status_of(bound: str, what: str, *lines: str, hosts: tuple[str, ...] = ()) -> int:
    head = "\r\n".join([f"{what} HTTP/1.1", *lines, "", ""]).encode()
    request = read_request(head, Limits())
    try:
        Access(bound, TOKEN, hosts).check(request, right_of(request))
    except RefusedRequest as refusal:
        return refusal.status
    return 200


MATRIX = [
    # Where it listens, what is asked, how, and what comes of it.
    (HERE, READ, ["Host: localhost:8080"], 200),
    (HERE, READ, ["Host: 127.0.0.1"], 200),
    (HERE, READ, ["Host: [::1]:8080"], 200),
    (HERE, READ, ["Host: evil.example:8080"], 421),
    (HERE, READ, ["Host: localhost.evil.example"], 421),
    (HERE, PAGE, ["Host: evil.example"], 421),
    (HERE, CALL, ["Host: localhost", "Origin: http://evil.example"], 403),
    (HERE, CALL, ["Host: localhost", "Origin: null"], 403),
    (HERE, CALL, ["Host: localhost:8080", "Origin: http://localhost:9090"], 403),
    (HERE, CALL, ["Host: localhost:8080", "Origin: http://localhost:8080"], 200),
    (HERE, CALL, ["Host: localhost", "Sec-Fetch-Site: cross-site"], 403),
    (HERE, CALL, ["Host: localhost", "Sec-Fetch-Site: same-site"], 403),
    (HERE, CALL, ["Host: localhost", "Sec-Fetch-Site: same-origin"], 200),
    (HERE, READ, ["Host: localhost", "Sec-Fetch-Site: none"], 200),
    (HERE, PAGE, ["Host: localhost", "Sec-Fetch-Site: cross-site"], 200),
    (HERE, WRITE, ["Host: localhost"], 401),
    (HERE, WRITE, ["Host: localhost", "Authorization: Bearer wrong"], 401),
    (HERE, WRITE, ["Host: localhost", f"Authorization: Basic {TOKEN}"], 401),
    (HERE, WRITE, ["Host: localhost", BEARER], 200),
    (HERE, WRITE, ["Host: localhost", COOKIE], 200),
    (HERE, WRITE, ["Host: localhost", f"{COOKIE}0"], 401),
    (HERE, WRITE, ["Host: localhost", OLD_COOKIE], 401),
    (HERE, WRITE, ["Host: localhost", COOKIE, "Origin: http://evil.example"], 403),
    (AWAY, READ, ["Host: machine.example", COOKIE], 200),
    (AWAY, SIGN_IN, ["Host: machine.example"], 200),
    (AWAY, SIGN_IN, ["Host: machine.example", "Origin: http://evil.example"], 403),
    (AWAY, "GET /assets/js/main.js", ["Host: machine.example"], 200),
    (HERE, WRITE, ["Host: localhost", BEARER, "Origin: http://evil.example"], 403),
    (AWAY, READ, ["Host: machine.example"], 401),
    (AWAY, CALL, ["Host: machine.example"], 401),
    (AWAY, "GET /metrics", ["Host: machine.example"], 401),
    (AWAY, READ, ["Host: machine.example", BEARER], 200),
    (AWAY, CALL, ["Host: machine.example", BEARER], 200),
    (AWAY, CALL, ["Host: machine.example", BEARER, "Sec-Fetch-Site: cross-site"], 403),
    (AWAY, PAGE, ["Host: machine.example"], 200),
    (AWAY, "GET /healthz", ["Host: machine.example"], 200),
    (AWAY, "POST /healthz", ["Host: machine.example"], 401),
]


@pytest.mark.parametrize(("bound", "what", "lines", "status"), MATRIX)
def test_matrix(bound: str, what: str, lines: list[str], status: int) -> None:
    assert status_of(bound, what, *lines) == status


def test_names_that_are_allowed_count_and_then_no_others() -> None:
    hosts = ("models.example",)
    assert status_of(HERE, READ, "Host: models.example:80", hosts=hosts) == 200
    assert status_of(AWAY, READ, "Host: models.example", BEARER, hosts=hosts) == 200
    assert status_of(AWAY, READ, "Host: other.example", BEARER, hosts=hosts) == 421


def test_who_may_not_ask_learns_nothing() -> None:
    async def scenario() -> None:
        async with House(host="0.0.0.0") as house:
            house.serve("app/echo", await house.replica())
            known = await house.post("/services/app/echo/call")
            unknown = await house.post("/services/app/eco/call")
            assert (known.status, known.body) == (unknown.status, unknown.body)
            assert known.status == 401
            answer = await house.ask(
                post("/services/app/echo/call", b"{}", BEARER.encode()),
            )
            assert answer.status == 200

    asyncio.run(scenario())


def test_a_token_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "token"
    token = tokens.load(path)
    assert len(token) > 30
    assert tokens.load(path) == token
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["token"]


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    tokens.load(path)
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        tokens.load(path)


@pytest.mark.parametrize("content", ["", "short", "with a space in it, but long", "\x00" * 40])
def test_a_file_without_a_token_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(SettingsError, match="remove it"):
        tokens.load(path)


def test_a_token_is_taken_for_a_cookie_that_only_this_gateway_knows() -> None:
    sessions = Sessions(TOKEN)
    value = sessions.sign_in(f" {TOKEN}\n")
    assert value is not None
    assert TOKEN not in value
    cookie = sessions.cookie(value)
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    header = cookie.partition(";")[0].encode()
    assert Sessions(TOKEN).is_known(header)
    assert not Sessions(TOKEN + "other").is_known(header)


def test_tokens_are_tried_a_few_times_a_minute_only() -> None:
    sessions = Sessions(TOKEN)
    assert [sessions.sign_in("wrong") for _ in range(TRIES)] == [None] * TRIES
    assert sessions.tries_left == 0
    assert sessions.sign_in(TOKEN) is None
