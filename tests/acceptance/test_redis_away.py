"""A worker that is told to end while Redis is away ends within a bound, with all that it runs."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from tests.acceptance.conftest import Network
from tests.support.servers import Server
from tests.support.sites import Site
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND_S = 30.0
"""9 s for tasks, and some for what is said to nobody; without a bound it was minutes."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path) as server:
        yield server


@pytest.fixture
def site(server: Server, prefix: str, secret: str, tmp_path: Path) -> Iterator[Site]:
    network = Network(url=server.url, prefix=prefix, secret=secret, folder=tmp_path)
    with (
        orchestrator.connect(server.url, secret=secret, prefix=prefix) as client,
        contextlib.ExitStack() as stack,
    ):
        yield Site(network, client)
        for worker in network.workers:
            stack.enter_context(worker)


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_worker_that_is_to_end_while_redis_is_away_ends_within_a_bound(
    site: Site, server: Server, is_busy: bool
) -> None:
    worker = site.worker()
    site.submit("served", "served").wait(30)
    if is_busy:
        gate = str(site.network.folder / "gate")
        site.scripted(("wait_for", gate))
        wait_until(Path(gate + ".begun").exists, description="a task runs")
    server.kill()
    worker.process.send_signal(signal.SIGTERM)
    worker.wait(BOUND_S)
