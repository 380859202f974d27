"""A store of the test's own, as an agent sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.keys import Keys
from rootward.orchestrator.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(redis_url: str, prefix: str) -> Iterator[Store]:
    clients = Clients(redis_url, name="rootward-tests")
    yield Store(clients, Keys(prefix=prefix))
    clients.close()
