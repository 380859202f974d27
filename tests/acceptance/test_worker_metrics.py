"""A worker that was given a port tells what it does; another one listens nowhere."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING
from urllib.request import urlopen

import psutil
import pytest

from rootward.orchestrator import connect
from tests.support.sites import Site
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network
    from tests.support.programs import Program


@pytest.fixture
def site(network: Network) -> Iterator[Site]:
    with connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        yield Site(network, client)


def metrics(worker: Program) -> str:
    found = re.search(r"metrics at (http://127\.0\.0\.1:\d+/metrics)", worker.stderr)
    assert found is not None, worker.report()
    with urlopen(found[1], timeout=10) as answer:
        return str(answer.read().decode())


def value(text: str, name: str, **labels: str) -> float:
    told = ",".join(f'{key}="{each}"' for key, each in labels.items())
    start = f"rootward_{name}{{{told}}} " if told else f"rootward_{name} "
    line = next((x for x in text.splitlines() if x.startswith(start)), None)
    assert line is not None, f"{start}\n{text}"
    return float(line.removeprefix(start))


def test_a_worker_tells_what_its_tasks_and_replicas_do(site: Site) -> None:
    worker = site.worker("--metrics-port", "0")
    site.submit("plain", "first").wait(timeout=30)
    text = metrics(worker)
    assert value(text, "worker_tasks_total", kind="train", state="succeeded") == 3
    assert value(text, "worker_task_seconds_count", kind="train") == 3
    assert value(text, "worker_queue_wait_seconds_count", kind="train") == 3
    # The root's train waited for its children's.
    waited = wait_until(
        lambda: (told := metrics(worker)) and "barrier_wait_seconds_count" in told and told,
        description="the times of barriers are known",
    )
    assert value(waited, "worker_barrier_wait_seconds_count", kind="train") == 3
    assert value(text, "worker_slots") == 4
    assert value(text, "worker_slots_busy") == 0
    assert 0 < value(text, "worker_lease_seconds") <= 2
    assert value(text, "worker_leases_lost_total") == 0

    served = site.submit("served", "model")
    served.wait(timeout=30)
    place = {"deployment": "model", "generation": "1", "service": "model", "state": "ready"}
    assert value(metrics(worker), "worker_replicas", **place) == 1
    os.kill(site.replica("model").pid, signal.SIGKILL)
    wait_until(
        lambda: 'replica_restarts_total{service="model"} 1' in metrics(worker),
        description="the restart is counted",
    )
    served.stop()


def test_without_a_port_a_worker_listens_nowhere(site: Site) -> None:
    worker = site.worker()
    site.submit("plain", "first").wait(timeout=30)
    listening = [
        each.laddr
        for each in psutil.Process(worker.process.pid).net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    ]
    assert listening == []
    assert "metrics at" not in worker.stderr


def test_a_port_that_is_taken_is_told_at_the_start(site: Site) -> None:
    first = site.worker("--metrics-port", "0")
    found = re.search(r"metrics at http://127\.0\.0\.1:(\d+)", first.stderr)
    assert found is not None
    second = site.worker("--metrics-port", found[1], expect_ready=False)
    assert second.wait(20) == 2
    assert "ROOTWARD_METRICS_PORT" in second.stderr
    assert "Traceback" not in second.stderr
