"""What the check-up says of history: its size, its bound, and when that is much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.doctor_history import check_history
from rootward.orchestrator.settings import Settings
from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.keys import Keys
from rootward.orchestrator.store.store import Store
from tests.support.scenes import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(redis_url: str, prefix: str) -> Iterator[Store]:
    clients = Clients(redis_url, name="rootward-tests")
    yield Store(clients, Keys(prefix=prefix))
    clients.close()


def test_ended_generations_are_counted_and_weighed_and_active_ones_are_not(store: Store) -> None:
    (finding,) = check_history(store, Settings(), 0)
    assert finding.message.startswith("0 ended generations, 0.0 MiB; each goes 7 days after")
    scene = Scene(store)
    scene.submit({"train:a": []}, generation=1)
    scene.succeed(scene.claim(), states=[b"x" * (2 << 20)])
    scene.submit({"deploy:a": []}, services={"a": 1}, generation=2)
    (finding,) = check_history(store, Settings(history_days=0.5), 64 << 20)
    assert (finding.check, finding.level) == ("history", "ok")
    assert finding.message.startswith("1 ended generation, 2.")
    assert "0.5 days after its end (ROOTWARD_HISTORY_DAYS)" in finding.message
    (finding,) = check_history(store, Settings(), 4 << 20)
    assert finding.level == "warning"
    assert finding.advice
    store.deployments.stop("demo")
