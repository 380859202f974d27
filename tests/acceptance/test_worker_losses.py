"""What is lost when processes die or freeze, and how it comes back.

Each test starts `python -P -m worker` against a server, breaks something, and looks at what the
store and the services say afterwards.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.orchestrator.embedded.server import EmbeddedServer
from rootward.orchestrator.errors import DeploymentFailed
from tests.acceptance.conftest import Network
from tests.support.sites import Site
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def site(network: Network) -> Iterator[Site]:
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        yield Site(network, client)


def test_a_frozen_replica_is_withdrawn_and_replaced(site: Site) -> None:
    site.worker()
    site.submit("served", "served").wait(20)
    first = site.replica("served")
    os.kill(first.pid, signal.SIGSTOP)
    wait_until(
        lambda: (now := site.replica("served")) is not None and now.pid != first.pid,
        description="another process serves",
        timeout=20,
    )
    assert site.client.gateway.call("served", 1)[1] == site.replica("served").pid


def test_what_a_killed_worker_held_goes_on_at_another(site: Site) -> None:
    first = site.worker()
    gate = str(site.network.folder / "gate")
    served = site.submit("served", "served").wait(20)
    running = site.scripted(("wait_for", gate))
    wait_until(Path(gate + ".begun").exists, description="the task runs")
    before = site.replica("served")
    first.process.kill()
    first.wait(5)
    Path(gate).touch()
    site.worker()
    running.wait(30)
    task = site.task("scripted")
    assert (task.worker, task.attempt) == ("w2", 2)
    after = wait_until(
        lambda: (now := site.replica("served")) is not None and now.pid != before.pid and now,
        description="the replica is back",
        timeout=30,
    )
    assert after.worker == "w2"
    assert served.status().state == "ready"


def test_a_worker_that_was_frozen_past_its_lease_starts_anew(site: Site) -> None:
    first = site.worker()
    site.submit("served", "served").wait(20)
    site.worker()
    before = {agent.info.id for agent in site.client.store.agents.all()}
    holder = site.replica("served").worker
    frozen = site.network.workers[int(holder[1:]) - 1]
    frozen.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(
            lambda: (now := site.replica("served")) is not None and now.worker != holder,
            description="the other worker serves",
            timeout=30,
        )
    finally:
        frozen.process.send_signal(signal.SIGCONT)
    wait_until(
        lambda: "starting anew" in frozen.stderr and len(site.client.store.agents.all()) == 2,
        description=f"it joins again\n{frozen.report()}",
        timeout=20,
    )
    after = {agent.info.id for agent in site.client.store.agents.all()}
    assert len(before & after) == 1
    assert site.replica("served").worker != holder
    assert first.is_running


def test_a_task_whose_process_dies_is_tried_three_times_and_says_of_what_it_died(
    site: Site,
) -> None:
    site.worker()
    with pytest.raises(DeploymentFailed, match="its process was killed by SIGKILL") as caught:
        site.scripted(("kill", 9)).wait(20)
    assert "last line" in str(caught.value)
    assert site.task("scripted").attempt == 3
    told = [
        event
        for event in site.client.store.history.events("scripted")
        if event.event == "task.lost"
    ]
    assert [event.reason for event in told] == ["its process was killed by SIGKILL"] * 2
    with pytest.raises(DeploymentFailed, match="its process exited with code 7"):
        site.scripted(("leave", 7), name="leaver").wait(20)


def test_a_store_that_lost_its_data_is_told_again_what_runs(
    prefix: str, secret: str, tmp_path: Path
) -> None:
    with EmbeddedServer() as server, contextlib.ExitStack() as stack:
        network = Network(url=server.url, prefix=prefix, secret=secret, folder=tmp_path)
        client = stack.enter_context(orchestrator.connect(server.url, secret=secret, prefix=prefix))
        site = Site(network, client)
        stack.enter_context(site.worker())
        site.submit("served", "served").wait(20)
        before = site.replica("served")
        client.store.clients.scripts.flushall()
        after = wait_until(lambda: site.replica("served"), description="it is registered again")
        assert (after.pid, after.token) == (before.pid, before.token)
        assert client.gateway.call("served", 1) == [1, before.pid]
        site.submit("plain", "plain").wait(20)


def test_a_pause_of_redis_loses_nothing(prefix: str, secret: str, tmp_path: Path) -> None:
    with EmbeddedServer() as server, contextlib.ExitStack() as stack:
        network = Network(url=server.url, prefix=prefix, secret=secret, folder=tmp_path)
        client = stack.enter_context(orchestrator.connect(server.url, secret=secret, prefix=prefix))
        site = Site(network, client)
        stack.enter_context(site.worker(lease=4.0))
        site.submit("served", "served").wait(20)
        before = site.replica("served")
        info = client.store.clients.scripts.info("server")
        gate = str(tmp_path / "gate")
        running = site.scripted(("wait_for", gate))
        wait_until(Path(gate + ".begun").exists, description="the task runs")
        os.kill(info["process_id"], signal.SIGSTOP)
        try:
            Path(gate).touch()
            worker = network.workers[0]
            wait_until(
                lambda: "can't be renewed" in worker.stderr,
                description="Redis is missed",
                timeout=30,
            )
        finally:
            os.kill(info["process_id"], signal.SIGCONT)
        running.wait(20)
        assert (site.task("scripted").attempt, site.replica("served").pid) == (1, before.pid)
