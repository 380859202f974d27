"""A canary beside what is current: its share, its own failures only, and how it ends."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from rootward import orchestrator
from tests.support.gateways import Gateway, gateway, opened
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from rootward.orchestrator.client.client import Client
    from tests.acceptance.conftest import Network

# Many commands one after the other, on machines that have other work.
pytestmark = pytest.mark.timeout(180)

APP = """
from rootward import ModuleBase, ServerModule

VERSION = "@"


class Child(ModuleBase):
    def forward(self, value):
        return VERSION


class Front(ModuleBase):
    def __init__(self):
        super().__init__(name="front")
        self.child = ServerModule(Child())

    def forward(self, value):
        BODY
        return [VERSION, self.child(value)]


tree = ServerModule(Front(), name="app")
"""


class Versions:
    """Deploys versions of an app, and says what became of them."""

    def __init__(self, network: Network) -> None:
        self.network, self.call = network, network.call

    def deploy(self, version: str, *options: str, body: str = "pass", code: int = 0) -> str:
        text = APP.replace("@", version).replace("BODY", body)
        (self.network.folder / "app.py").write_text(text)
        return self.call("deploy", "app.py:tree", *options, code=code)[1]

    def history(self) -> list[tuple[int, str, bool]]:
        found = json.loads(self.call("history", "app", "--json")[0])
        return [(each["generation"], each["how"], each["current"]) for each in found]


class Callers:
    """Threads that call the app until the block ends, and note every answer."""

    def __init__(self, served: Gateway, callers: int = 4) -> None:
        self.answers: list[tuple[int, str | None, Any]] = []
        self._url, self._ended = f"{served.url}/services/app/call", threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, calls: int) -> None:
        aim = len(self.answers) + calls
        wait_until(
            lambda: len(self.answers) >= aim, description=f"{calls} more answers", timeout=60
        )

    def _call(self) -> None:
        body, kind = json.dumps({"args": ["x"]}).encode(), {"Content-Type": "application/json"}
        while not self._ended.wait(0.002):
            try:
                with urlopen(Request(self._url, body, kind), timeout=30) as answer:
                    told = answer.headers.get("x-rootward-generation")
                    self.answers.append((answer.status, told, json.load(answer)["result"]))
            except HTTPError as error:
                with error:
                    told = error.headers.get("x-rootward-generation")
                    self.answers.append((error.code, told, error.read().decode()))
            except OSError as error:
                self.answers.append((0, None, repr(error)))


def test_a_bad_canary_is_rolled_back_by_itself_under_load_and_only_its_own_calls_fail(
    network: Network,
) -> None:
    """The reason is in the events, the status and the history; a good one is promoted after it."""
    versions = Versions(network)
    network.worker()
    versions.deploy("1")
    with gateway(network) as program, Callers(opened(program, network.folder)) as callers:
        callers.go_on(50)
        told = versions.deploy("2", "--canary", "20", "--bake", "600", body="1 / 0")
        assert "app@2 gets 20 % of the calls" in told
        wait_until(
            lambda: versions.history()[0] == (2, "canary rolled back", False),
            description="the canary is rolled back",
            timeout=90,
        )
        callers.go_on(50)
        failed = [each for each in callers.answers if each[0] != 200]
        assert {(status, generation) for status, generation, _ in failed} == {(500, "2")}
        assert len(failed) >= 20
        reason = json.loads(versions.call("status", "app@2", "--json")[0])["reason"]
        assert "calls failed, 100.00% where" in reason
        assert "canary.rolled_back" in versions.call("events", "app@2", "--json")[0]

        del callers.answers[:]
        versions.deploy("3", "--canary", "50", "--bake", "1")
        wait_until(
            lambda: versions.history()[0] == (3, "canary promoted", True),
            description="the canary is promoted",
            timeout=90,
        )
        callers.go_on(50)
    found = {(status, generation, tuple(result)) for status, generation, result in callers.answers}
    # Not one call failed, and none went from one generation to another on its way down the tree.
    assert found == {(200, "1", ("1", "1")), (200, "3", ("3", "3"))}
    assert versions.history() == [
        *[(3, "canary promoted", True), (2, "canary rolled back", False), (1, "deploy", False)]
    ]
    versions.call("stop", "app")


def check_what_is_shown(versions: Versions, client: Client) -> None:
    """What programs have counted is there within seconds: in the status, as text and as JSON."""

    def counted() -> tuple[int, int]:
        sharing = client.deployment("app", 2).status().sharing
        assert sharing is not None
        return sharing.current.calls, sharing.canary.calls

    # 40 of the program by share and 5 by number, and one each from the command line.
    wait_until(lambda: counted() == (31, 16), description="all calls have been told")
    for name in ("app", "app@1"):
        shown = json.loads(versions.call("status", name, "--json")[0])["canary"]
        assert (shown["canary"]["generation"], shown["canary"]["percent"]) == (2, 25.0)
        assert (shown["current"]["generation"], shown["current"]["error_rate"]) == (1, 0.0)
        assert shown["canary"]["p99"] > 0
    text = versions.call("status", "app")[0]
    assert "app@2 ready: it gets 25 % of the calls: 0 of 16 calls failed" in text
    assert "it is promoted or rolled back by hand" in text
    assert [line.split()[:4] for line in text.splitlines() if line.startswith("@")] == [
        ["@1", "current", "75", "%"],
        ["@2", "canary", "25", "%"],
    ]
    with gateway(versions.network) as program:
        served = opened(program, versions.network.folder)
        shown = json.loads(served.ask("/api/deployments/app/generations")[1])
        assert (shown["current"], shown["canary"]["canary"]["calls"]) == (1, 16)
        assert [each["how"] for each in shown["generations"]] == ["canary", "deploy"]
        status, body = served.ask("/services/app/call", {"args": ["x"]}, X_Rootward_Generation="2")
        assert (status, json.loads(body)["result"]) == (200, ["2", "2"])
        told = served.ask("/metrics")[1]
        assert b'rootward_gateway_generation_share{deployment="app",generation="2"} 0.25' in told
        assert (
            b'rootward_gateway_generation_calls_total{deployment="app",generation="2"} 1.0' in told
        )
        assert (
            served.ask("/services/app/call", {"args": ["x"]}, X_Rootward_Generation="9")[0] == 404
        )


def test_a_canary_is_called_by_share_or_by_number_and_promoted_by_hand(network: Network) -> None:
    """From a program and from the command line, without any gateway process."""
    versions = Versions(network)
    network.worker()
    assert "no current generation" in versions.deploy("1", "--canary", "10", code=2)
    versions.deploy("1")
    for percent in ("0", "100"):
        assert "between 0 and 100" in versions.deploy("2", "--canary", percent, code=2)
    versions.deploy("2", "--canary", "25")
    assert "app has a canary already, app@2" in versions.deploy("3", "--canary", "10", code=2)
    assert "app@1 is no canary, app@2 is" in versions.call("promote", "app@1", code=2)[1]

    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        results = [tuple(client.gateway.call("app", "x")) for _ in range(40)]
        assert sorted(results) == [("1", "1")] * 30 + [("2", "2")] * 10
        assert {tuple(client.gateway.call("app", "x", generation=2)) for _ in range(5)} == {
            ("2", "2")
        }
        for number, answer in (("1", ["1", "1"]), ("2", ["2", "2"])):
            out, _ = versions.call("gateway", "call", "app", '"x"', "--generation", number)
            assert json.loads(out) == answer
        check_what_is_shown(versions, client)
        told = versions.call("gateway", "call", "app", '"x"', "--generation", "9", code=2)[1]
        assert "app has no generation 9: calls go to app@1 and app@2" in told

        assert versions.call("promote", "app")[0] == "app@2 is current\n"
        assert versions.history() == [(2, "canary promoted", True), (1, "deploy", False)]
        wait_until(
            lambda: {tuple(client.gateway.call("app", "x")) for _ in range(10)} == {("2", "2")},
            description="the program hears of the promotion",
        )
    assert "app has no canary to promote" in versions.call("promote", "app", code=2)[1]
    versions.call("stop", "app")
