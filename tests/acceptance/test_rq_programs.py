"""RQ's own programs against a live deployment: they see what is there, and what they do holds.

Each test starts workers as processes and runs `rq`, `rq-dashboard` or RQ's functions beside them,
as somebody who knows RQ would. Tests of the records alone are in conformance/test_rq_mirror.py.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from rq import Queue, Worker
from rq.command import send_shutdown_command, send_stop_job_command
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result

from rootward import orchestrator
from rootward.orchestrator.errors import DeploymentFailed
from rootward.orchestrator.store.rq_compat import Serializer, plain_queue
from tests.support.programs import Program, run
from tests.support.sites import Site
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network

OURS = ("-S", "rootward.orchestrator.store.rq_compat.Serializer")


class Rq:
    """RQ's programs, as they are installed beside the Python that runs the tests."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.queue = plain_queue(network.prefix)
        self.connection = Redis.from_url(network.url)

    def command(self, name: str, *arguments: str) -> list[str]:
        return [self.program("rq"), name, "-u", self._network.url, *arguments]

    def program(self, name: str) -> str:
        return str(Path(sys.executable).with_name(name))

    def run(self, name: str, *arguments: str) -> str:
        """Run a command to its end; return what it said."""
        ended = run(self.command(name, *arguments), folder=self._network.folder)
        assert ended.process.returncode == 0, ended.report()
        return ended.stdout

    def worker(self, *arguments: str) -> Program:
        """Start RQ's own worker."""
        return Program(
            self.command("worker", *arguments, self.queue),
            folder=self._network.folder,
            environ={
                **self._network.environ,
                "PYTHONPATH": str(Path(orchestrator.__file__).parents[2]),
            },
            name="rq",
        )

    def job(self, id_: str) -> Job:
        return Job.fetch(id_, connection=self.connection, serializer=Serializer)

    def failed(self) -> list[str]:
        queue = Queue(self.queue, connection=self.connection, serializer=Serializer)
        ids: list[str] = FailedJobRegistry(queue=queue).get_job_ids()
        return ids


@pytest.fixture
def site(network: Network) -> Iterator[Site]:
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        yield Site(network, client)


@pytest.fixture
def rq(network: Network) -> Iterator[Rq]:
    found = Rq(network)
    with found.connection:
        yield found


@pytest.fixture
def gate(network: Network) -> str:
    """A file that tasks wait for; FILE.begun is there when one does."""
    return str(network.folder / "gate")


def begun(gate: str) -> None:
    wait_until(Path(gate + ".begun").exists, description="the task runs")


@pytest.mark.parametrize("serializer", [OURS, ()], ids=["ours", "pickle"])
def test_rq_info_tells_of_workers_and_running_jobs_and_ends_none(
    site: Site, rq: Rq, gate: str, serializer: tuple[str, ...]
) -> None:
    site.worker()
    running = site.scripted(("wait_for", gate))
    begun(gate)
    told = rq.run("info", *serializer, "--raw", rq.queue)
    assert f"queue {rq.queue} 0" in told
    assert "worker w1" in told
    Path(gate).touch()
    running.wait(20)
    assert site.task("scripted").attempt == 1


def test_rq_fetches_a_job_and_its_result(site: Site, rq: Rq) -> None:
    site.worker()
    site.submit("plain", "plain").wait(20)
    task = site.client.store.tasks.of("plain", 1)[0]
    job = rq.job(task.job_id)
    assert job.get_status() is JobStatus.FINISHED
    assert task.id in str(job.description)
    assert job.return_value() is None
    assert job.started_at is not None
    assert job.ended_at is not None
    assert job.started_at <= job.ended_at
    with pytest.raises(DeploymentFailed):
        site.scripted(("fail", "no such luck")).wait(20)
    failed = rq.job(site.task("scripted").job_id)
    assert failed.get_status() is JobStatus.FAILED
    result = failed.latest_result()
    assert result is not None
    assert result.type is Result.Type.FAILED
    assert "KeyError: 'no such luck'" in str(result.exc_string)
    assert "in fail" in str(result.exc_string)


@pytest.mark.parametrize("which", ["job", "all"])
def test_rq_requeue_resumes_a_failed_task(site: Site, rq: Rq, which: str) -> None:
    site.worker()
    deployment = site.scripted(("fail_once", str(site.network.folder / "tried")))
    with pytest.raises(DeploymentFailed):
        deployment.wait(20)
    (failed,) = rq.failed()
    assert failed == site.task("scripted").job_id
    chosen = failed if which == "job" else "--all"
    rq.run("requeue", *OURS, "--queue", rq.queue, chosen)
    wait_until(lambda: str(deployment.status().state) == "ready", description="it goes on")
    assert (str(site.task("scripted").state), site.task("scripted").attempt) == ("succeeded", 2)
    assert rq.failed() == []


def test_stop_job_fails_the_task_and_the_worker_goes_on(site: Site, rq: Rq, gate: str) -> None:
    site.worker()
    assert "w1" in {worker.name for worker in Worker.all(connection=rq.connection)}
    stopped = site.scripted(("wait_for", gate))
    begun(gate)
    send_stop_job_command(rq.connection, site.task("scripted").job_id, serializer=Serializer)
    with pytest.raises(DeploymentFailed, match="stop-job"):
        stopped.wait(20)
    site.submit("plain", "plain").wait(20)


def test_the_shutdown_command_drains_a_worker(site: Site, rq: Rq, gate: str) -> None:
    worker = site.worker()
    running = site.scripted(("wait_for", gate))
    begun(gate)
    send_shutdown_command(rq.connection, "w1")
    wait_until(lambda: "waiting for 1 tasks" in worker.stderr, description="it drains")
    Path(gate).touch()
    assert worker.wait(20) == 0, worker.report()
    running.wait(5)
    assert site.task("scripted").attempt == 1


def test_rq_suspend_holds_tasks_back_until_rq_resume(site: Site, rq: Rq) -> None:
    site.worker()
    rq.run("suspend", "--duration", "60")
    try:
        wait_until(
            lambda: (
                "worker w1" in rq.run("info", "--raw", rq.queue)
                and "suspended" in rq.run("info", "--raw", rq.queue)
            ),
            description="the worker says that it is suspended",
        )
        waiting = site.submit("plain", "plain")
        with pytest.raises(TimeoutError):
            waiting.wait(0.5)
        assert str(site.task("plain").state) == "queued"
    finally:
        rq.run("resume")
    waiting.wait(20)


def test_a_stock_worker_with_our_serializer_runs_a_tree(site: Site, rq: Rq) -> None:
    with rq.worker(*OURS) as stock:
        deployment = site.submit("plain", "plain").wait(50)
        assert stock.is_running, stock.report()
    tasks = site.client.store.tasks.of("plain", 1)
    assert [(str(task.state), task.attempt) for task in tasks] == [("succeeded", 1)] * 3
    text = "".join(line.text for line in deployment.logs(follow=False))
    assert sorted(text.splitlines()) == ["training a", "training b"]


def test_a_stock_worker_leaves_a_service_to_an_agent(site: Site, rq: Rq) -> None:
    with rq.worker(*OURS) as stock:
        deployment = site.submit("served", "served")
        wait_until(
            lambda: "deploy:served" in stock.stderr + stock.stdout,
            description="it has taken the deploy",
            timeout=20,
        )
        site.worker()
        deployment.wait(30)
    assert site.replica("served").worker == "w1"


def test_a_stock_worker_that_is_killed_loses_no_task(site: Site, rq: Rq, gate: str) -> None:
    with rq.worker(*OURS) as stock:
        deployment = site.scripted(("wait_for", gate))
        begun(gate)
        os.killpg(stock.process.pid, signal.SIGKILL)
        stock.wait(10)
    # The process that ran the job is in a group of its own, and goes on until it is let.
    Path(gate).touch()
    site.worker()
    deployment.wait(30)


def test_a_stock_worker_without_our_serializer_does_no_harm(site: Site, rq: Rq) -> None:
    with rq.worker() as stock:
        deployment = site.submit("plain", "plain")
        wait_until(
            lambda: "DeserializationError" in stock.stderr,
            description="it has taken a task and failed it",
            timeout=20,
        )
        site.worker()
        deployment.wait(30)
        assert stock.is_running, stock.report()
    tasks = site.client.store.tasks.of("plain", 1)
    assert [(str(task.state), task.attempt) for task in tasks] == [("succeeded", 1)] * 3


class Dashboard:
    """A running rq-dashboard."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/0"

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"{self._address}/{path}", timeout=10) as answer:
            return answer.read().decode()

    def data(self, path: str) -> Any:
        return json.loads(self.page(f"data/{path}.json"))

    def jobs(self, queue: str, registry: str) -> list[Any]:
        found: list[Any] = self.data(f"jobs/{queue}/{registry}/8/asc/1")["jobs"]
        return found

    def is_up(self) -> bool:
        try:
            return bool(self.page("view/queues"))
        except urllib.error.URLError:
            return False


@pytest.fixture
def dashboard(network: Network, rq: Rq) -> Iterator[Dashboard]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [rq.program("rq-dashboard"), "-b", "127.0.0.1", "-p", str(port)]
    command += ["-u", network.url]
    with Program(command, folder=network.folder, name="dashboard") as program:
        found = Dashboard(port)
        wait_until(found.is_up, description=f"it answers\n{program.report()}", timeout=30)
        yield found


def test_rq_dashboard_shows_queues_workers_and_jobs(
    site: Site, rq: Rq, dashboard: Dashboard, gate: str
) -> None:
    site.worker("--slots", "1")
    site.submit("plain", "plain").wait(20)
    workers = dashboard.data("workers")["workers"]
    (worker,) = [each for each in workers if each["name"] == "w1"]
    assert rq.queue in worker["queues"]
    with pytest.raises(DeploymentFailed):
        site.scripted(("fail", "no such luck"), name="unlucky").wait(20)
    running = site.scripted(("wait_for", gate))
    begun(gate)
    waiting = site.submit("plain", "waiting")
    (queue,) = [each for each in dashboard.data("queues")["queues"] if each["name"] == rq.queue]
    # Short tasks are claimed ahead, so that those that wait may count as started.
    assert queue["count"] + queue["started_job_registry_count"] == 3
    assert queue["failed_job_registry_count"] == 1
    assert queue["finished_job_registry_count"] == 3
    assert queue["deferred_job_registry_count"] == 1
    started = {job["id"].partition(":")[0] for job in dashboard.jobs(rq.queue, "started")}
    assert site.task("scripted").job_id in started
    (failed,) = dashboard.jobs(rq.queue, "failed")
    assert site.task("unlucky").id in failed["description"]
    assert "KeyError: 'no such luck'" in failed["exc_info"]
    assert len(dashboard.jobs(rq.queue, "finished")) == 3
    assert failed["id"] in dashboard.page(f"view/job/{failed['id']}")
    Path(gate).touch()
    running.wait(20)
    waiting.wait(20)
