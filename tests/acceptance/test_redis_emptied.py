"""Redis is killed and comes back without its data, or is emptied: what is served goes on.

The same processes must answer, under workers that keep their names and ids; what can't come back is
said to whoever looks for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rootward import orchestrator
from tests.acceptance.conftest import Network
from tests.support.programs import rootward, run
from tests.support.servers import Server
from tests.support.sites import Site
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from rootward.orchestrator.store.records import ReplicaRecord


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, forgets=True) as server:
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


def replicas(site: Site, name: str, generation: int = 1) -> dict[str, tuple[int, str, str]]:
    """Process, token and agent of each ready replica, by its id."""
    found = site.client.store.registry.replicas(name, generation)
    return {each.replica: _place(each) for each, _ in found if each.state == "ready"}


def _place(record: ReplicaRecord) -> tuple[int, str, str]:
    return record.pid, record.token, record.agent_id


def lose(server: Server, how: str) -> None:
    if how == "flushed":
        site_store = orchestrator.connect(server.url, secret="x" * 32)
        with site_store as client:
            client.store.clients.scripts.flushall()
        return
    server.kill()
    server.start()


def status(site: Site, name: str, *more: str) -> dict[str, Any]:
    command = rootward("status", name, "--json", *more)
    shown = run(command, folder=site.network.folder, environ=site.network.environ)
    assert shown.process.returncode == 0, shown.report()
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


@pytest.mark.parametrize("how", ["killed", "flushed"])
@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_served_goes_on_in_the_same_processes(
    site: Site, server: Server, workers: int, how: str
) -> None:
    for _ in range(workers):
        site.worker()
    site.submit("served", "served").wait(30)
    site.client.scale("served", "served", workers)
    before = wait_until(
        lambda: len(found := replicas(site, "served")) == workers and found,
        description="all replicas are ready",
        timeout=30,
    )
    agents = {agent.info.id for agent in site.client.workers()}
    lose(server, how)
    wait_until(
        lambda: replicas(site, "served") == before,
        description="the same processes are registered, by the same agents",
        timeout=30,
    )
    wait_until(
        lambda: {agent.info.id for agent in site.client.workers()} == agents,
        description="the workers are those of before, and no others",
    )
    pids = {pid for pid, _, _ in before.values()}
    assert {site.client.gateway.call("served", n)[1] for n in range(20)} <= pids
    for worker in site.network.workers:
        assert "starting anew" not in worker.stderr, worker.report()
        assert worker.stderr.count("has lost its data") == 1, worker.report()
    shown = status(site, "served")
    assert shown["state"] == "ready"
    assert "Redis had lost its data" in shown["reason"]
    # The next one takes over as ever.
    assert site.submit("served", "served").wait(30).generation == 2
    site.client.deployment("served", 1).wait_stopped(30)


@pytest.mark.parametrize("how", ["killed", "flushed"])
def test_while_tasks_run_what_is_served_goes_on_and_what_is_lost_is_said(
    site: Site, server: Server, how: str
) -> None:
    for _ in range(2):
        site.worker()
    site.submit("served", "served").wait(30)
    before = replicas(site, "served")
    gate = str(site.network.folder / "gate")
    running = site.scripted(("wait_for", gate))
    wait_until(Path(gate + ".begun").exists, description="a task runs")
    lose(server, how)
    wait_until(
        lambda: replicas(site, "served") == before,
        description="the same process is registered",
        timeout=30,
    )
    with pytest.raises(orchestrator.OrchestratorError, match="Redis had lost its data"):
        running.wait(30)
    with pytest.raises(orchestrator.UnknownDeployment, match="Redis had lost its data"):
        site.client.deployment("scripted")
    listed = run(rootward("deployments"), folder=site.network.folder, environ=site.network.environ)
    assert "Redis had lost its data" in listed.stderr, listed.report()
    assert next(iter(site.client.deployment("served").events(follow=False))).event == "restored"
    # The slots are free again.
    Path(gate).touch()
    site.scripted(("wait_for", gate), name="scripted").wait(30)
    assert site.task("scripted").attempt == 1


def test_what_could_only_be_made_of_a_lost_tree_is_refused_with_a_reason(
    site: Site, server: Server
) -> None:
    worker = site.worker()
    site.submit("served", "served").wait(30)
    before = replicas(site, "served")
    lose(server, "killed")
    wait_until(
        lambda: replicas(site, "served") == before,
        description="it is back",
        timeout=30,
    )
    with pytest.raises(orchestrator.OrchestratorError, match="deploy it again"):
        site.client.scale("served", "served", 2)
    with pytest.raises(orchestrator.OrchestratorError, match="deploy it again"):
        site.client.deployment("served").resume()
    worker.process.kill()
    worker.wait(10)
    site.worker()
    degraded = wait_until(
        lambda: (found := status(site, "served"))["state"] == "degraded" and found,
        description="its loss is told",
        timeout=30,
    )
    assert "deploy it again" in degraded["reason"]
    site.client.deployment("served").stop(20)


def test_a_replica_that_dies_after_a_loss_of_data_is_started_again_where_it_was(
    site: Site, server: Server
) -> None:
    site.worker()
    site.submit("served", "served").wait(30)
    before = replicas(site, "served")
    lose(server, "killed")
    wait_until(
        lambda: replicas(site, "served") == before,
        description="it is back",
        timeout=30,
    )
    os.kill(site.replica("served").pid, signal.SIGKILL)
    wait_until(
        lambda: (now := replicas(site, "served")) and now != before and now.keys() == before.keys(),
        description="another process serves under the same replica",
        timeout=30,
    )
    assert site.client.gateway.call("served", 1)[1] == site.replica("served").pid
