"""Fixtures of the guide: one small network that its tests share, under names of their own."""

from __future__ import annotations

import uuid
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator import connect
from tests.support.programs import Program, rootward
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.orchestrator import Client

SECRET = "the secret of the guide, long enough for anyone"


@pytest.fixture(scope="session")
def environ(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str | None]]:
    """What a program needs in its environment to reach the network; one worker runs in it."""
    shared: dict[str, str | None] = {
        "REDIS_URL": redis_url,
        "ROOTWARD_SECRET": SECRET,
        "ROOTWARD_PREFIX": f"guide-{uuid.uuid4().hex[:12]}",
    }
    folder = tmp_path_factory.mktemp("guide")
    command = rootward("worker", "--name", "guide", "--slots", "4")
    # Closed, not left: only within a `with` block programs go through a client.
    client = connect(redis_url, secret=SECRET, prefix=shared["ROOTWARD_PREFIX"])
    with Program(command, folder=folder, environ=shared, name="worker"), closing(client):
        wait_until(client.workers, description="the worker has joined")
        yield shared


@pytest.fixture
def client(environ: dict[str, str | None]) -> Iterator[Client]:
    """A client of the network."""
    url, secret, prefix = environ.values()
    with closing(connect(url, secret=secret, prefix=prefix)) as client:
        yield client


@pytest.fixture
def name() -> str:
    """A deployment's name that no other test has."""
    return f"t-{uuid.uuid4().hex[:8]}"
