"""How many replicas a service gets: as many as its plan has, or as were asked for and signed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.orchestrator.control.controller import Controller
from rootward.orchestrator.errors import PlanError
from tests.orchestrator.control.test_controller import Served
from tests.support.scripted import ScriptedWorker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.orchestrator.client.client import Client


@pytest.fixture
def client(redis_url: str, prefix: str, secret: str) -> Iterator[Client]:
    with orchestrator.connect(redis_url, secret=secret, prefix=prefix) as client:
        yield client


def count_after(client: Client, worker: ScriptedWorker, rounds: int = 4) -> int:
    """Return how many replicas there are after some rounds of a controller and its worker."""
    controller = Controller(client.store, client.signer, worker.info.id, 10.0)
    begin = time.time()
    for number in range(rounds):
        controller.run_once(begin + number)
        worker.work()
    return len(client.store.registry.replicas("s", 1))


def test_a_number_that_somebody_writes_into_redis_is_not_obeyed(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    worker = ScriptedWorker(client)
    client.submit(Served("s"))
    worker.work()
    redis, services = client.store.clients.scripts, client.keys.part("s", 1, "services")
    redis.hset(services, "s", 40)
    assert count_after(client, worker) == 1
    assert "nobody with the secret has asked for them" in caplog.text
    # Nor does the signature of another number, of another place, or none at all help.
    signature = client.signer.sign_count("s", 1, "s", 2)
    for false in (signature, client.signer.sign_count("s", 2, "s", 40), "", "\u00e4"):
        client.store.deployments.scale("s", 1, "s", 40, false)
        assert count_after(client, worker, 2) == 1
    client.store.deployments.scale("s", 1, "s", 2, signature)
    assert count_after(client, worker) == 2


def test_what_is_asked_for_with_the_secret_is_brought_up_and_kept(client: Client) -> None:
    worker = ScriptedWorker(client)
    client.submit(Served("s"))
    worker.work()
    client.scale("s", "s", 3)
    assert count_after(client, worker) == 3
    client.store.clients.scripts.hdel(client.keys.generation("s", 1), "scaled:s")
    assert count_after(client, worker) == 3, "what runs stays, also where its signature is lost"


def test_a_number_beyond_all_bounds_is_refused(client: Client) -> None:
    ScriptedWorker(client)
    client.submit(Served("s"))
    for number in (-1, 1001):
        with pytest.raises(PlanError, match="give 0 to 1000"):
            client.scale("s", "s", number)
