"""kill -9 of those that hold no work: the gateway, and the one that leads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from tests.support.gateways import Gateway, gateway, opened, serving
from tests.support.sites import Site
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network


@pytest.fixture
def served(network: Network) -> Iterator[Gateway]:
    with serving(network) as gateway:
        yield gateway


def test_a_gateway_that_is_killed_takes_nothing_with_it_and_comes_back(
    served: Gateway, network: Network
) -> None:
    """It keeps nothing that isn't in Redis; whoever has just called is told by the connection."""
    replica, _ = served.result("app/who", 1)
    ending = threading.Event()
    broken: list[OSError] = []

    def call() -> None:
        while not ending.is_set():
            try:
                served.result("app/who", 2)
            except OSError as error:
                broken.append(error)
                return

    caller = threading.Thread(target=call)
    caller.start()
    served.program.process.kill()
    served.program.wait(10)
    caller.join(30)
    ending.set()
    assert len(broken) == 1
    with gateway(network, "--port", str(served.port)) as program:
        again = opened(program, network.folder)
        assert again.url == served.url
        assert again.result("app/who", 3) == [replica, 3]


def test_another_worker_leads_when_the_one_that_led_is_killed(network: Network) -> None:
    """What was to be repaired by the first is repaired by the second."""
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        site = Site(network, client)
        workers = [site.worker(), site.worker()]
        site.submit("served", "served").wait(20)
        store = client.store

        def leading() -> str:
            found = store.clients.scripts.get(store.keys.controller) or b""
            return str(found, "utf-8")

        leader = wait_until(leading, description="someone leads")
        [first] = [worker for worker in workers if leader.startswith(f"{worker.command[5]}-")]
        first.process.kill()
        first.wait(10)
        client.scale("served", "served", 2)
        wait_until(
            lambda: sum(r.state == "ready" for r, _ in store.registry.replicas("served", 1)) == 2,
            description="two are ready", timeout=40,
        )  # fmt: skip
        assert leading() not in {"", leader}
