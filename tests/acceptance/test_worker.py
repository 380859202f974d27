"""A worker as a process: it runs trees, keeps what they serve, and goes when it is told to.

Each test starts `python -P -m worker` against a server, submits trees from here and looks at what
the store and the services say. What RQ's own programs make of it is in test_rq_programs.py.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.orchestrator.errors import DeploymentFailed
from tests.support.programs import Program
from tests.support.sites import SOURCE, Site
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network


@pytest.fixture
def site(network: Network) -> Iterator[Site]:
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        yield Site(network, client)


def test_a_plain_tree_is_trained_children_first_and_its_output_is_kept(site: Site) -> None:
    site.worker()
    deployment = site.submit("plain", "plain").wait(20)
    tasks = site.client.store.tasks.of("plain", 1)
    assert [str(task.state) for task in tasks] == ["succeeded"] * 3
    assert tasks[2].started_at >= max(tasks[0].ended_at, tasks[1].ended_at)
    text = "".join(line.text for line in deployment.logs(follow=False))
    assert sorted(text.splitlines()) == ["training a", "training b"]


def test_a_served_tree_answers_and_follows_its_replica_when_it_is_killed(site: Site) -> None:
    site.worker()
    site.submit("served", "served").wait(20)
    first = site.replica("served")
    assert site.client.gateway.call("served", 5) == [5, first.pid]
    os.kill(first.pid, signal.SIGKILL)
    answer = site.client.gateway.call("served", 6)
    assert answer[0] == 6
    assert answer[1] != first.pid
    second = wait_until(lambda: site.replica("served"), description="a replica is ready again")
    assert (second.replica, second.pid) == (first.replica, answer[1])
    assert second.token != first.token


def test_sigterm_lets_a_task_end_and_withdraws_replicas(site: Site) -> None:
    worker = site.worker()
    gate = str(site.network.folder / "gate")
    site.submit("served", "served").wait(20)
    running = site.scripted(("wait_for", gate))
    wait_until(Path(gate + ".begun").exists, description="the task runs")
    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "waiting for 1 tasks" in worker.stderr, description="it drains")
    assert site.replica("served") is not None, "tasks that still run may call it"
    Path(gate).touch()
    assert worker.wait(20) == 0, worker.report()
    running.wait(5)
    assert site.client.store.registry.replicas("served", 1) == []
    assert site.client.store.agents.all() == []


def test_a_second_sigterm_ends_at_once_and_hands_back_without_a_loss(site: Site) -> None:
    worker = site.worker()
    gate = str(site.network.folder / "gate")
    running = site.scripted(("wait_for", gate))
    wait_until(Path(gate + ".begun").exists, description="the task runs")
    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "waiting for 1 tasks" in worker.stderr, description="it drains")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait(5) == 1, worker.report()
    Path(gate).touch()
    site.worker()
    running.wait(20)
    assert (site.task("scripted").worker, site.task("scripted").attempt) == ("w2", 1)


def test_a_replica_that_cant_load_fails_its_deploy_with_the_users_error(site: Site) -> None:
    site.worker()
    with pytest.raises(DeploymentFailed, match="ValueError: no such model") as caught:
        site.submit("broken", "broken").wait(20)
    assert "loading" in str(caught.value)
    assert "raise ValueError(self.how)" in caught.value.failures[0].traceback
    wait_until(
        lambda: site.client.store.registry.replicas("broken", 1) == [],
        description="nothing is registered",
    )


def test_a_tree_that_never_ends_its_import_can_be_cancelled(site: Site) -> None:
    site.worker("--slots", "1")
    package = site.network.folder / "endless.py"
    package.write_text("import os, time\nif 'HERE' not in os.environ: time.sleep(1000)\n")
    path = site.network.folder / "importing.py"
    path.write_text(f"import endless\n{SOURCE}\ntree = Scripted()\n")
    os.environ["HERE"] = "1"
    try:
        endless = site.client.submit(f"{path}:tree", name="endless", by_value=False)
    finally:
        del os.environ["HERE"]
    wait_until(lambda: str(site.task("endless").state) == "running", description="it runs")
    endless.cancel()
    site.submit("plain", "plain").wait(20)


def test_a_job_that_nobody_signed_is_refused(site: Site, network: Network) -> None:
    with orchestrator.connect(network.url, secret="another", prefix=network.prefix) as stranger:
        deployment = stranger.submit(f"{site.path}:plain", name="plain")
        site.worker()
        with pytest.raises(DeploymentFailed, match="not signed with this secret"):
            deployment.wait(20)


def test_a_burst_ends_when_nothing_is_left(site: Site) -> None:
    site.submit("plain", "plain")
    worker = site.worker("--burst", expect_ready=False)
    assert worker.wait(30) == 0, worker.report()
    assert site.client.deployment("plain").status().state == "ready"


def test_a_burst_waits_for_what_is_to_be_tried_again(site: Site) -> None:
    site.scripted(("fail_once", str(site.network.folder / "tried")), retries=1)
    worker = site.worker("--burst", expect_ready=False)
    assert worker.wait(30) == 0, worker.report()
    assert (str(site.task("scripted").state), site.task("scripted").attempt) == ("succeeded", 2)


def test_a_worker_without_redis_or_without_a_secret_says_so_at_once(
    site: Site, network: Network
) -> None:
    def outcome(environ: dict[str, str | None]) -> tuple[int, str, float]:
        began = time.monotonic()
        with Program(
            [sys.executable, "-P", "-m", "rootward.worker"],
            folder=network.folder,
            environ=environ,
            name="refused",
        ) as program:
            return program.wait(20), program.stderr, time.monotonic() - began

    code, told, _ = outcome({**network.environ, "ROOTWARD_SECRET": None})
    assert code == 2
    assert "token_hex" in told
    nowhere = {**network.environ, "REDIS_URL": "redis://127.0.0.1:1/0"}
    code, told, seconds = outcome(nowhere)
    assert code == 3
    assert "127.0.0.1:1" in told
    assert seconds < 10
    assert outcome({**network.environ, "REDIS_URL": None})[0] == 3


def test_the_log_can_be_json_lines(site: Site, network: Network) -> None:
    worker = Program(
        [sys.executable, "-P", "-m", "rootward.worker", "--burst"],
        folder=network.folder,
        environ={**network.environ, "ROOTWARD_LOG_FORMAT": "json"},
        name="json",
    )
    with worker:
        assert worker.wait(20) == 0, worker.report()
        events = [json.loads(line)["event"] for line in worker.stderr.splitlines()]
    assert "agent.joined" in events
