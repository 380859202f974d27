"""Redis goes away, for the gateway or for everybody, and calls go on."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest

from tests.support.gateways import Gateway, Load, gateway, health, opened, serving
from tests.support.servers import Server
from tests.support.tap import Tap
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network


# Longer than a lease; a minute when somebody asks for it.
AWAY_S = float(os.environ.get("TEST_AWAY_S", "15"))


@pytest.fixture
def served(network: Network) -> Iterator[Gateway]:
    """A gateway in front of a deployment."""
    with serving(network) as gateway:
        yield gateway


@pytest.fixture
def own_server(network: Network) -> Iterator[Server]:
    """A server that keeps what it was told, and that a test may kill."""
    server = Server(network.folder)
    network.url = f"redis://127.0.0.1:{server.port}/0"
    with server:
        yield server


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_redis_away_for_longer_than_a_lease_fails_no_call(
    served: Gateway, network: Network
) -> None:
    """Away for the gateway: the workers' own leases are other tests' concern."""
    tap = Tap(network.url)
    try:
        with gateway(network, url=tap.url) as program:
            through = opened(program, network.folder)
            with Load(through, callers=2) as load:
                tap.close()
                wait_until(
                    lambda: (health(through)["stale_s"] or 0) > 12,
                    description="the gateway knows that Redis is away",
                    timeout=40,
                )
                with urlopen(
                    Request(through.url + "/services/app/who/call", b"{}"), timeout=10
                ) as answer:
                    assert int(answer.headers["x-rootward-stale"]) >= 11
                assert json.loads(through.ask("/api/services")[1])
                load.go_on(20)
                tap.is_open = True
                wait_until(
                    lambda: health(through)["registry"] == "followed",
                    description="the gateway follows the registry again",
                    timeout=20,
                )
                pid = through.result("app/who", 1)[0]
                os.kill(pid, signal.SIGKILL)
                load.go_on(20)
            assert load.failures == []
    finally:
        tap.end()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_killing_redis_for_longer_than_a_lease_fails_no_call(
    own_server: Server, served: Gateway
) -> None:
    with Load(served, callers=2) as load:
        own_server.kill()
        wait_until(
            lambda: (health(served)["stale_s"] or 0) > AWAY_S,
            description="Redis has been away for a while",
            timeout=AWAY_S + 30,
        )
        own_server.start()
        wait_until(
            lambda: health(served)["registry"] == "followed",
            description="the gateway follows the registry again",
            timeout=20,
        )
        # Whatever is lost with the outage would go within two leases.
        pid = served.result("app/who", 1)[0]
        load.go_on(200)
        os.kill(pid, signal.SIGKILL)
        load.go_on(40)
    assert load.failures == []
