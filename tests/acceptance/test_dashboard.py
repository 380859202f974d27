"""The dashboard in a browser, with a live deployment behind it."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browsers import PATIENCE_MS, deploy, desk, gallery, needs_chromium, violations
from tests.support.gateways import Gateway, gateway, opened
from tests.support.servers import Server
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

pytestmark = [needs_chromium, pytest.mark.slow, pytest.mark.timeout(150)]


def expect(locator: Any) -> Any:
    from playwright.sync_api import expect as playwrights

    playwrights.set_options(timeout=PATIENCE_MS)
    return playwrights(locator)


def board(served: Gateway) -> dict[str, Any]:
    status, body = served.ask("/api/board")
    assert status == 200
    found: dict[str, Any] = json.loads(body)["set"]
    return found


def test_a_deployment_is_watched_and_a_killed_replica_comes_back(network: Network) -> None:
    with gallery(network, pace=0.3) as served, desk() as browser:
        page = browser.open(served.url)
        expect(page.get_by_role("heading", name="Nothing is deployed yet")).to_be_visible()
        deploy(network, "digits", "--detach")
        page.get_by_role("link", name="digits@1").first.click()
        badge = page.locator(".deployment-head .badge")
        expect(badge).to_have_text(re.compile("pending|progressing"))
        expect(page.locator('[data-path="digits/m/forest"]')).to_contain_text("0 %")
        page.locator('[data-path="digits"]').click()
        expect(page.locator(".drawer .callout")).to_contain_text("waits for")
        expect(badge).to_have_text("ready")
        assert "@1 " in page.locator(".generation").inner_text().replace("\n", " ") + " "
        page.locator('[data-path="digits/m/forest"]').click()
        replica = page.locator(".drawer .small-grid code").first
        expect(replica).to_be_visible()
        (killed,) = board(served)["s/digits/m/forest"]["replicas"]
        os.kill(killed["pid"], signal.SIGKILL)
        wait_until(
            lambda: all(
                each["pid"] != killed["pid"] and each["state"] == "ready"
                for each in board(served)["s/digits/m/forest"]["replicas"] or [killed]
            ),
            description="another replica is ready",
            timeout=30,
        )
        expect(page.locator(".drawer .small-grid .s-ready").first).to_be_visible()
        expect(badge).to_have_text("ready")
        page.keyboard.press("4")
        expect(page.locator("#view")).to_contain_text("killed by SIGKILL")


def test_a_failure_is_explained_and_resumed(network: Network) -> None:
    with gallery(network, "atlas", pace=0.05) as served, desk() as browser:
        page = browser.open(served.url)
        row = page.locator(".attention article")
        expect(row).to_contain_text("corpus could not be trained")
        row.get_by_role("link", name="Open failure").click()
        drawer = page.locator(".drawer")
        expect(drawer.locator(".callout.error")).to_contain_text("no column 'text' in shard-7")
        expect(drawer.locator(".callout.error")).to_contain_text("gallery.py:")
        expect(drawer.locator(".traceback")).to_contain_text("raise ValueError")
        expect(drawer.locator(".log")).to_contain_text("shard-5.jsonl 41,208 rows")
        assert "m=" not in page.url
        page.keyboard.press("Escape")
        expect(drawer).to_have_count(0)
        page.keyboard.press("n")
        expect(drawer).to_be_visible()
        assert "corpus" in page.url
        # A change needs the token, and asks for it once.
        (network.folder / "corpus").write_text("good")
        page.get_by_role("button", name=re.compile("Resume")).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Resume atlas@1?")
        dialog.get_by_role("button", name="Resume atlas@1").click()
        dialog.locator("[name=token]").fill(served.token)
        dialog.get_by_role("button", name="Resume atlas@1").click()
        expect(page.locator(".deployment-head .badge")).to_have_text("ready")
        expect(page.get_by_role("button", name=re.compile("Resume"))).to_have_count(0)
        assert served.token not in page.content()
        kept = "JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])"
        assert served.token not in page.evaluate(kept)


def test_a_service_is_tried_streams_and_is_scaled(network: Network) -> None:
    with gallery(network, "hello", "count", pace=0.2) as served, desk() as browser:
        page = browser.open(f"{served.url}/services/hello/docs")
        expect(page.locator(".service-head .badge")).to_have_text("ready")
        page.locator("#field-value").fill("21")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".answer")).to_contain_text("42")
        expect(page.locator(".answer")).to_contain_text("200")
        expect(page.locator(".same .well")).to_contain_text("curl")
        page.locator("#field-value").fill('"x"')
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".answer .error")).to_contain_text("value")
        expect(page.locator(".field.wrong")).to_be_visible()
        page.goto(f"{served.url}/#/s/count")
        page.locator("#field-n").fill("4")
        page.get_by_label("Stream the answer").check()
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".items li")).to_have_count(4)
        expect(page.locator(".answer")).to_contain_text("4 items")
        page.get_by_role("button", name="Scale…").click()
        dialog = page.get_by_role("dialog")
        dialog.locator("input").first.fill("2")
        dialog.get_by_role("button", name="Scale").click()
        dialog.locator("[name=token]").fill(served.token)
        dialog.get_by_role("button", name="Scale").click()
        expect(page.locator(".service-head")).to_contain_text("2 of 2 replicas")


def test_seven_tabs_see_a_cancel_at_once_with_one_stream(network: Network) -> None:
    with gallery(network, pace=2) as served, desk() as browser:
        deploy(network, "atlas", "--detach")
        pages = [browser.open(f"{served.url}/#/d/atlas@1") for _ in range(7)]
        for page in pages:
            expect(page.locator(".deployment-head .badge")).to_have_text("progressing")
            page.locator('[data-path="atlas"]').click()
        page = pages[3]
        page.get_by_role("button", name="Cancel @1").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Cancel atlas@1").click()
        dialog.locator("[name=token]").fill(served.token)
        dialog.get_by_role("button", name="Cancel atlas@1").click()
        for page in pages:
            expect(page.locator(".deployment-head .badge")).to_have_text("cancelled")


def test_redis_that_hangs_and_a_gateway_that_is_gone_are_told(network: Network) -> None:
    server = Server(network.folder)
    network.url = f"redis://127.0.0.1:{server.port}/0"
    with server, gallery(network, "hello") as served, desk() as browser:
        page = browser.open(served.url)
        live = page.locator(".live")
        expect(live).to_contain_text("Live")
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            expect(page.locator(".banner")).to_contain_text("Redis has not answered since")
            expect(live).to_contain_text("Not live")
        finally:
            os.kill(pid, signal.SIGCONT)
        expect(page.locator(".banner")).to_have_count(0)
        expect(page.locator(".toast")).to_contain_text("Live again")
        port = str(served.port)
        served.program.stop(signal.SIGKILL)
        expect(page.locator(".banner")).to_contain_text("The gateway has not answered since")
        with gateway(network, "--port", port) as program:
            opened(program, network.folder)
            expect(page.locator(".banner")).to_have_count(0)
            expect(live).to_contain_text("Live")


def test_off_loopback_a_browser_signs_in_once(network: Network) -> None:
    with gallery(network, "hello") as served, desk() as browser:
        program = gateway(network, "--host", "0.0.0.0")
        with program:
            away = opened(program, network.folder)
            url = f"http://127.0.0.1:{away.port}"
            page = browser.open(f"{url}/#/workers")
            expect(page.get_by_role("heading", name=re.compile("Sign in to"))).to_be_visible()
            page.locator("[name=token]").fill("wrong")
            page.get_by_role("button", name="Sign in").click()
            expect(page.locator(".wrong-note")).to_contain_text("4 tries left")
            page.locator("[name=token]").fill(served.token)
            page.get_by_role("button", name="Sign in").click()
            # The address that was asked for opens afterwards.
            expect(page.get_by_role("heading", name=re.compile("1 worker"))).to_be_visible()
            (cookie,) = page.context.cookies()
            assert cookie["httpOnly"]
            assert cookie["sameSite"] == "Strict"
            assert served.token not in cookie["value"]
            assert served.token not in program.stderr
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("heading", name=re.compile("Sign in to"))).to_be_visible()


def test_what_is_not_there_is_a_page_for_people_and_json_for_programs(network: Network) -> None:
    with gallery(network, "hello") as served, desk() as browser:
        page = browser.open(f"{served.url}/services/helo")
        expect(page.locator("main")).to_contain_text("did you mean hello")
        page.goto(f"{served.url}/nowhere")
        page.get_by_role("link", name="Home").click()
        expect(page.locator(".live")).to_contain_text("Live")
        page.goto(f"{served.url}/#/s/helo")
        page.get_by_role("link", name="hello").click()
        expect(page.locator(".service-head h1")).to_have_text("hello")
        status, body = served.ask("/services/helo")
        assert (status, json.loads(body)["error"]["type"]) == (404, "NotFound")


def test_names_are_never_markup(network: Network) -> None:
    with gallery(network, "strange", pace=0.05) as served, desk() as browser:
        page = browser.open(f"{served.url}/#/d/strange@1")
        expect(page.locator(".node")).to_have_count(6)
        assert page.locator(".node img").count() == 0
        for name in ("模型", "نموذج"):
            expect(page.get_by_title(re.compile(name)).first).to_be_visible()
        for tab in ("timeline", "table", "events"):
            page.goto(f"{served.url}/#/d/strange@1/{tab}")
            expect(page.locator("#view")).to_contain_text("模型")
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0
        page.keyboard.press("/")
        page.get_by_role("combobox").fill("模型")
        page.keyboard.press("Enter")
        wait_until(lambda: "m=" in page.url, description="the module is opened")


def test_a_reader_that_goes_away_is_one_closed_stream(network: Network) -> None:
    import socket

    with gallery(network, "hello") as served:
        for path in ("/api/board/stream", "/api/deployments/hello/events"):
            for _ in range(3):
                with socket.create_connection(("127.0.0.1", served.port)) as connection:
                    head = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
                    connection.sendall(head.encode())
                    assert connection.recv(64).startswith(b"HTTP/1.1 200")
        wait_until(
            lambda: re.search(
                rb"^rootward_gateway_connections 1(\.0)?$", served.ask("/metrics")[1], re.MULTILINE
            ),
            description="only the asking connection is left",
        )
        lines = served.program.stderr.splitlines()
        assert [line for line in lines if "listens at" not in line] == []


def test_a_canary_is_compared_promoted_and_taken_back(network: Network) -> None:
    """Each change is asked for first, with what will happen."""
    with gallery(network, "hello", pace=0.05) as served, desk() as browser:
        deploy(network, "hello", "--canary", "20")
        page = browser.open(f"{served.url}/#/d/hello@2/generations")
        head = page.locator(".deployment-head")
        expect(head).to_contain_text("canary 20 %")
        expect(head).to_contain_text("@2 gets 20 % of the calls.")
        for generation in ("1", "2", "2"):
            answer = served.ask("/services/hello", 3, X_Rootward_Generation=generation)
            assert answer[0] == 200
        shares = page.locator(".shares")
        expect(shares).to_contain_text("@1 current · 80 %")
        expect(shares).to_contain_text("2 calls to @2")
        rows = page.locator(".generations tbody tr")
        expect(rows.first).to_contain_text("compared")
        assert violations(page) == []

        page.get_by_role("button", name="Promote @2…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("hello@2 gets all calls from outside, in one step.")
        expect(dialog).to_contain_text("hello@1 ends what it has begun, and stops.")
        dialog.get_by_role("button", name="Promote hello@2").click()
        dialog.locator("[name=token]").fill(served.token)
        dialog.get_by_role("button", name="Promote hello@2").click()
        expect(rows.first).to_contain_text("canary promoted")
        expect(rows.first.locator(".state")).to_have_text("current")
        expect(shares).to_have_count(0)

        deploy(network, "hello", "--canary", "30")
        page.goto(f"{served.url}/#/d/hello@3/generations")
        page.get_by_role("button", name="Roll back to @2…").click()
        expect(dialog).to_contain_text("it has served all along")
        dialog.get_by_role("button", name="Roll back to @2").click()
        expect(rows.first).to_contain_text("canary rolled back")
        expect(rows.nth(1).locator(".state")).to_have_text("current")
