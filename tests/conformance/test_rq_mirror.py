"""What RQ's own tools see and do: jobs, registries, results, requeue, and its own workers."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rq import Queue
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.registry import (
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    StartedJobRegistry,
)

from rootward.orchestrator.store.keys import Keys
from rootward.orchestrator.store.records import FinishResult
from rootward.orchestrator.store.rq_compat import PROTOCOL, Serializer
from rootward.orchestrator.store.scripts import source
from rootward.orchestrator.store.store import Store
from tests.support.scenes import LEASE_MS, Scene, done
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from rootward.orchestrator.store.connection import Clients

PAYLOAD = ("rootward.worker.jobs.run_task", None, (b"signature",), {})


class Mirror:
    """RQ's view of a scene."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.connection = scene.store.clients.scripts
        self.queue = Queue(scene.queue, connection=self.connection, serializer=Serializer)

    def job(self, index: int = 0) -> Job:
        id_ = self.scene.store.tasks.of("demo", 1)[index].job_id
        return Job.fetch(id_, connection=self.connection, serializer=Serializer)

    def ids(self, registry: type) -> list[str]:
        ids: list[str] = registry(queue=self.queue).get_job_ids()
        return ids


@pytest.fixture
def mirror(store: Store) -> Mirror:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": ["train:a"]})
    store.clients.scripts.hset(
        store.keys.job(f"{store.keys.prefix}-demo-1-0"), "data", Serializer.dumps(PAYLOAD)
    )
    return Mirror(scene)


def fail_in_a_foreign_worker(mirror: Mirror, job: Job) -> None:
    """Do what a stock worker does that takes a job and can't read it."""
    mirror.queue.remove(job)
    with mirror.connection.pipeline() as pipe:
        job.set_status(JobStatus.FAILED, pipeline=pipe)
        job._handle_failure("no module", pipe)
        pipe.execute()


def await_release(scene: Scene, job: Job) -> None:
    assert wait_until(
        lambda: job.id in scene.store.agents.sweep(1000).released, description="the job is released"
    )


def test_a_released_task_is_a_job_on_its_queue(mirror: Mirror) -> None:
    job = mirror.job()
    assert mirror.queue.get_job_ids() == [job.id]
    assert mirror.queue in Queue.all(connection=mirror.connection)
    assert job.get_status() is JobStatus.QUEUED
    assert job.func_name == "rootward.worker.jobs.run_task"
    assert list(job.args) == [b"signature"]
    assert job.description == "train:a"
    assert job.enqueued_at is not None


def test_a_waiting_task_is_deferred(mirror: Mirror) -> None:
    job = mirror.job(1)
    assert job.get_status() is JobStatus.DEFERRED
    assert mirror.ids(DeferredJobRegistry) == [job.id]


def test_a_running_task_is_started_with_an_execution(mirror: Mirror) -> None:
    claim = mirror.scene.claim()
    job = mirror.job()
    assert job.get_status() is JobStatus.STARTED
    assert job.worker_name == "w"
    assert job.started_at is not None
    assert mirror.ids(StartedJobRegistry) == [job.id]
    assert mirror.scene.store.agents.renew(mirror.scene.agent, LEASE_MS).running == 1
    (execution,) = job.get_executions()
    assert isinstance(execution, Execution)
    assert (execution.id, execution.worker_name) == (claim.token, "w")


def test_a_succeeded_task_is_finished_and_releases(mirror: Mirror) -> None:
    mirror.scene.succeed(mirror.scene.claim())
    job = mirror.job()
    assert job.get_status() is JobStatus.FINISHED
    assert mirror.ids(FinishedJobRegistry) == [job.id]
    assert mirror.ids(StartedJobRegistry) == []
    assert job.get_executions() == []
    assert job.return_value() is None
    assert job.ended_at is not None
    assert mirror.ids(DeferredJobRegistry) == []
    assert mirror.queue.get_job_ids() == [mirror.job(1).id]


def test_a_failed_task_shows_its_traceback(mirror: Mirror) -> None:
    mirror.scene.fail(mirror.scene.claim(), "broken")
    job = mirror.job()
    assert job.get_status() is JobStatus.FAILED
    assert mirror.ids(FailedJobRegistry) == [job.id]
    result = job.latest_result()
    assert result is not None
    assert result.exc_string == "Traceback ...: broken"
    assert result.worker_name == "w"
    assert mirror.job(1).get_status() is JobStatus.CANCELED
    assert mirror.ids(CanceledJobRegistry) == [mirror.job(1).id]


def test_a_requeue_by_rq_resumes_the_task(mirror: Mirror) -> None:
    scene = mirror.scene
    scene.fail(scene.claim())
    assert scene.state() == "failed"
    mirror.job().requeue()
    claim = scene.claim()
    assert (claim.task, claim.attempt) == ("train:a", 2)
    assert scene.states() == {"train:a": "running", "train:b": "waiting"}
    assert scene.state() == "progressing"
    scene.succeed(claim)
    assert scene.run_all() == ["train:b"]
    assert scene.state() == "ready"


def test_a_repeated_claim_of_a_requeued_task_tells_the_same_times(mirror: Mirror) -> None:
    scene = mirror.scene
    scene.fail(scene.claim())
    mirror.job().requeue()
    # As if RQ ran where the clock is far behind.
    scene.store.clients.scripts.hset(mirror.job().key, "enqueued_at", "2026-01-01T00:00:00.000000Z")
    args = [scene.store.tasks.next_request(), 1, 1, scene.queue, 0, 0]
    first = scene.send_exchange(args)
    assert first[3] == 1
    assert scene.send_exchange(args) == first


def test_agents_hear_of_a_requeue_by_rq(mirror: Mirror) -> None:
    """RQ rings no bell of ours: the next sweep does."""
    scene = mirror.scene
    scene.fail(scene.claim())
    heard = scene.store.agents.wait_bell(scene.agent, {}, 1)
    mirror.job().requeue()
    wait_until(
        lambda: (
            scene.store.agents.sweep(1000)
            and scene.store.agents.wait_bell("w", heard.cursors, 1).rung
        ),
        description="the bell has rung",
    )
    scene.succeed(scene.claim())
    assert scene.run_all() == ["train:b"]


def test_a_requeue_of_one_failure_leaves_what_another_one_blocks(store: Store) -> None:
    scene = Scene(store)
    edges = {
        "train:a": [],
        "train:b": [],
        "train:c": ["train:a", "train:b"],
        "train:d": ["train:a"],
    }
    scene.submit(edges)
    for claim in scene.claim_all().values():
        scene.fail(claim)
    Mirror(scene).job(0).requeue()
    scene.succeed(scene.claim())
    assert scene.states()["train:c"] == "skipped"
    assert scene.run_all() == ["train:d"]
    assert scene.state() == "failed"


def test_a_requeue_of_what_is_not_failed_does_nothing(mirror: Mirror) -> None:
    scene = mirror.scene
    scene.succeed(scene.claim())
    FinishedJobRegistry(queue=mirror.queue).requeue(mirror.job())
    assert set(scene.claim_all()) == {"train:b"}
    assert scene.states()["train:a"] == "succeeded"


def test_counting_registries_fails_no_running_job(mirror: Mirror) -> None:
    """`rq info` cleans registries by its own clock: our scores are out of its reach."""
    mirror.scene.claim()
    started = StartedJobRegistry(queue=mirror.queue)
    started.cleanup(timestamp=mirror.scene.store.agents.now() + 3600)
    assert mirror.job().get_status() is JobStatus.STARTED


def test_a_job_that_a_foreign_worker_failed_is_released_again(mirror: Mirror) -> None:
    """A stock worker without our serializer can't run a task; the task loses no attempt by it."""
    scene, job = mirror.scene, mirror.job()
    fail_in_a_foreign_worker(mirror, job)
    assert scene.exchange(limit=1).claims == ()
    await_release(scene, job)
    assert mirror.queue.get_job_ids() == [], "it would take it again at once"
    claim = scene.claim()
    assert (claim.job_id, claim.attempt) == (job.id, 1)
    assert scene.succeed(claim) == "accepted"
    mirror.connection.persist(scene.store.keys.job(job.id))
    assert not mirror.connection.exists(f"rq:results:{job.id}"), "that it failed isn't so"


def test_a_job_kept_from_foreign_workers_outlives_the_agent_that_it_is_kept_for(
    mirror: Mirror,
) -> None:
    scene, job = mirror.scene, mirror.job()
    fail_in_a_foreign_worker(mirror, job)
    await_release(scene, job)
    assert scene.store.agents.leave(scene.agent)
    assert mirror.queue.get_job_ids() == [job.id]


def test_a_stock_worker_claims_the_job_that_it_took(mirror: Mirror) -> None:
    scene, job = mirror.scene, mirror.job()
    mirror.queue.remove(job)
    claim = scene.store.tasks.claim(scene.agent, job.id)
    assert claim is not None
    assert (claim.task, claim.attempt) == ("train:a", 1)
    assert scene.store.tasks.claim(scene.agent, job.id) is None
    assert scene.succeed(claim) == "accepted"


def test_cancelled_jobs_leave_the_queue(mirror: Mirror) -> None:
    mirror.scene.store.deployments.cancel("demo", 1)
    assert mirror.queue.count == 0
    assert mirror.job().get_status() is JobStatus.CANCELED


def test_rq_info_runs(mirror: Mirror, request: pytest.FixtureRequest) -> None:
    if "valkey" not in request.node.name:
        pytest.skip("needs an address that another process can open")
    mirror.scene.claim()
    url = request.getfixturevalue("redis_url")
    command = [sys.executable, "-m", "rq.cli", "info", "-u", url, mirror.scene.queue]
    command += ["-S", "rootward.orchestrator.store.rq_compat.Serializer"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert told.returncode == 0, told.stderr
    assert mirror.scene.queue in told.stdout


def test_scripts_and_queues_speak_the_same_protocol() -> None:
    assert f"'-v{PROTOCOL}-at-'" in source("exchange")


def test_the_serializer_gives_back_plain_values_only() -> None:
    assert Serializer.loads(Serializer.dumps(PAYLOAD)) == PAYLOAD
    with pytest.raises(TypeError):
        Serializer.dumps(object())
    with pytest.raises(ValueError, match="above"):
        Serializer.loads(b"\xc0" * (1024 * 1024 + 1))


def test_nothing_is_claimed_once_rqs_workers_are_suspended(server: Clients, prefix: str) -> None:
    """Not even by who asked a moment before; what runs may end, and resuming lets the next go."""
    # RQ's mark stands outside of our prefix, and others use this server.
    store = Store(server, Keys(prefix=prefix, rq=f"{prefix}-rq"))
    scene, client, mark = Scene(store), server.scripts, f"{prefix}-rq:suspended"
    scene.submit({"train:a": [], "train:b": []})
    claim = scene.claim()
    client.set(mark, 1, ex=60)
    answer = scene.exchange(done(claim), limit=5)
    assert answer.results == (FinishResult.ACCEPTED,)
    assert (answer.claims, answer.is_suspended) == ((), True)
    assert not scene.exchange().is_suspended, "nothing was wanted"
    client.delete(mark)
    (claim,) = scene.exchange(limit=5).claims
    assert claim.task == "train:b"
    scene.succeed(claim)
