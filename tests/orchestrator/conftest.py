"""A client of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.orchestrator.client.client import Client


@pytest.fixture
def client(redis_url: str, prefix: str, secret: str) -> Iterator[Client]:
    """A client with keys of its own."""
    client = orchestrator.connect(redis_url, secret=secret, prefix=prefix)
    yield client
    client.close()
