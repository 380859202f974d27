"""The client and its deployments, on a real server with a worker that the tests drive."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from rootward import orchestrator
from rootward.modules.errors import NotPortable, TaskGetterError
from rootward.modules.module import ModuleBase
from rootward.orchestrator.client.submitting.submitter import submitter
from rootward.orchestrator.errors import (
    BadName,
    DeploymentCancelled,
    DeploymentFailed,
    MissingSecret,
    NoRedis,
    PlanError,
    UnknownDeployment,
)
from rootward.orchestrator.store.records import Submission
from tests.support.scripted import ScriptedWorker
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from rootward.orchestrator.client.client import Client


class Worker(ModuleBase):
    """A module that prints what it does and counts it."""

    def __init__(self, name: str, *children: ModuleBase, fails: bool = False) -> None:
        super().__init__(name=name)
        self.children = list(children)
        self.fails = fails
        self.trained = 0

    def _get_train_tasks(self) -> object:
        return self.train

    def _get_deploy_tasks(self) -> object:
        return [lambda: print(f"{self.name} deployed {self.trained}")]

    def train(self) -> None:
        print(f"{self.name} trains")
        if self.fails:
            raise ValueError(f"{self.name} can't")
        self.trained += 1


class BadGetter(ModuleBase):
    """A module whose getter returns something else."""

    def _get_train_tasks(self) -> object:
        return 42


def tree(fails: bool = False) -> Worker:
    return Worker("root", Worker("a", fails=fails), Worker("b"))


def test_submit_stores_a_plan_that_a_worker_runs_children_first(client: Client) -> None:
    """What comes back is ready, with every task's outcome."""
    deployment = client.submit(tree())
    assert deployment.id == "root@1"
    ran = ScriptedWorker(client).work()
    assert set(ran[:2]) == {"train:root/a", "train:root/b"}
    assert ran[2] == "train:root"
    assert ran[-1] == "deploy:root"
    status = deployment.wait(5).status()
    assert status.state == "ready"
    assert {task.state for task in status.tasks} == {"succeeded"}
    assert {t.worker for t in status.tasks if t.kind != "join"} == {"scripted"}


def test_status_json_has_the_documented_shape(client: Client) -> None:
    """What `status --json` prints."""
    deployment = client.submit(tree(), kinds=["train"])
    ScriptedWorker(client).work()
    document = deployment.status().to_json()
    assert set(document) == {
        *("deployment", "generation", "state", "reason", "created_at", "ended_at"),
        *("tasks", "services", "evaluations"),
    }
    assert document["tasks"][0].keys() == {
        *("id", "kind", "module", "state", "attempt", "worker"),
        *("queued_at", "started_at", "ended_at", "error", "reason", "place", "traceback"),
        *("log_tail", "progress"),
    }


def test_history_json_has_the_documented_shape(client: Client) -> None:
    """What `history --json` prints, the newest generation first."""
    client.submit(tree(), kinds=["train"])
    ScriptedWorker(client).work()
    client.submit(tree(), kinds=["train"], bundle=False)
    newer, older = client.history("root")
    assert (newer.generation, newer.state, older.generation, older.state) == (
        *(2, "pending"),
        *(1, "ready"),
    )
    assert newer.to_json() == {
        "generation": 2,
        "state": "pending",
        "current": False,
        "created_at": newer.created_at,
        "by": submitter(),
        "how": "deploy",
        "digest": None,
        "evaluations": [],
        "can_roll_back": False,
    }
    with pytest.raises(UnknownDeployment, match="did you mean root"):
        client.history("rot")


def test_wait_raises_what_failed_where_and_what_it_printed(client: Client) -> None:
    """The error names module, worker, attempt, error and log tail, and what was not started."""
    deployment = client.submit(tree(fails=True))
    ScriptedWorker(client).work()
    with pytest.raises(DeploymentFailed) as caught:
        deployment.wait(5)
    text = str(caught.value)
    for part in ("root@1", "train:root/a", "scripted", "attempt 1", "ValueError: a can't"):
        assert part in text
    assert "a trains" in text
    assert "deploy:root" in text
    (failure,) = caught.value.failures
    assert (failure.module, failure.error_type) == ("root/a", "ValueError")
    assert "Traceback" in failure.traceback
    assert deployment.status().tasks[1].state == "succeeded"


def test_retries_count_exceptions_of_a_task(client: Client) -> None:
    """A task that goes on failing is run once more for each retry."""
    deployment = client.submit(tree(fails=True), kinds=["train"], retries=2)
    ran = ScriptedWorker(client).work()
    assert ran.count("train:root/a") == 3
    with pytest.raises(DeploymentFailed, match="attempt 3"):
        deployment.wait(5)


def test_wait_times_out_and_the_deployment_goes_on(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the waiting ends; standard error says why nothing happened."""
    deployment = client.submit(tree())
    with pytest.raises(TimeoutError, match="root@1"):
        deployment.wait(3.2)
    assert "rootward worker" in capsys.readouterr().err
    assert "no worker" in deployment.status().reason
    ScriptedWorker(client).work()
    deployment.wait(5)


def test_wait_returns_within_the_change_of_another_thread(client: Client) -> None:
    """A wait that has begun sees the deployment become ready."""
    deployment = client.submit(tree())
    ended = threading.Event()

    def wait() -> None:
        deployment.wait(20)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    ScriptedWorker(client).work()
    assert ended.wait(5)
    thread.join()


def test_a_wait_looks_when_the_state_changes_and_once_a_second(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tasks end meanwhile."""
    looks: list[object] = []
    look = client.store.deployments.generation

    def noted(name: str, generation: int) -> object:
        looks.append(found := look(name, generation))
        return found

    began = time.monotonic()
    deployment = client.submit(Worker("root", *(Worker(f"leaf-{n}") for n in range(40))))
    monkeypatch.setattr(client.store.deployments, "generation", noted)
    thread = threading.Thread(target=deployment.wait)
    thread.start()
    wait_until(lambda: looks, description="it has begun to wait")
    ScriptedWorker(client).work()
    thread.join(20)
    # As it was submitted, once it progresses, when it is ready.
    assert 2 <= len(looks) <= 3 + int(time.monotonic() - began)


def test_cancel_ends_the_waiting(client: Client) -> None:
    """What was not started never is."""
    deployment = client.submit(tree()).cancel()
    with pytest.raises(DeploymentCancelled, match="cancelled"):
        deployment.wait(5)
    assert ScriptedWorker(client).work() == []


def test_a_newer_generation_cancels_the_one_in_progress(client: Client) -> None:
    """A name has one generation in progress."""
    first = client.submit(tree())
    second = client.submit(tree())
    assert (first.generation, second.generation) == (1, 2)
    with pytest.raises(DeploymentCancelled):
        first.wait(5)
    ScriptedWorker(client).work()
    second.wait(5)


def test_resume_runs_only_what_has_not_succeeded(client: Client) -> None:
    """Outcomes stay."""
    deployment = client.submit(tree(fails=True), kinds=["train"])
    worker = ScriptedWorker(client)
    worker.work()
    deployment.resume()
    assert worker.work() == ["train:root/a"]


def test_events_tell_the_story_in_order(client: Client) -> None:
    """Without follow they end with what is known."""
    deployment = client.submit(tree(), kinds=["train"])
    ScriptedWorker(client).work()
    names = [event.event for event in deployment.events(follow=False)]
    assert names[0] == "submitted"
    assert names[-1] == "deployment.ready"
    assert names.count("task.succeeded") == 3
    assert [e.event for e in deployment.events(follow=True)] == names


def test_logs_are_those_of_a_task_a_module_or_all(client: Client) -> None:
    """What tasks printed is kept."""
    deployment = client.submit(tree(), kinds=["train"])
    ScriptedWorker(client).work()
    assert "".join(line.text for line in deployment.logs("train:root/a")) == "a trains\n"
    assert "".join(line.text for line in deployment.logs("root/b")) == "b trains\n"
    assert len({line.task for line in deployment.logs(follow=True)}) == 3


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (BadGetter(), TaskGetterError),
        ("no.such.module:tree", orchestrator.OrchestratorError),
        (42, PlanError),
    ],
)
def test_nothing_is_stored_of_what_cannot_be_planned(
    client: Client, given: object, error: type[Exception]
) -> None:
    """A plan is checked whole before anything is stored."""
    with pytest.raises(error):
        client.submit(given, name="broken")
    assert client.deployments() == []


def test_what_cannot_travel_is_named_and_nothing_is_stored(client: Client) -> None:
    """The error says which attribute, and how to go by reference."""
    root = tree()
    root.lock = threading.Lock()
    with pytest.raises(NotPortable, match="lock") as caught:
        client.submit(root)
    assert "reference" in str(caught.value)
    assert client.deployments() == []


@pytest.mark.parametrize("name", ["", "My Tree", "a/b", "a@b", "a{b}"])
def test_a_name_that_cannot_be_is_refused(client: Client, name: str) -> None:
    """The nearest possible name is told."""
    with pytest.raises(BadName):
        client.submit(tree(), name=name)


def test_part_of_a_tree_is_only_its_root(client: Client) -> None:
    """`recursive=False` runs the root's tasks alone and makes nothing current."""
    deployment = client.submit(tree(), recursive=False)
    assert ScriptedWorker(client).work() == ["train:root", "deploy:root"]
    deployment.wait(5)
    assert client.deployments()[0].current is None


def test_plan_needs_no_server_and_stores_nothing(client: Client) -> None:
    """`client.plan` is pure."""
    plan = client.plan(tree(), kinds=["deploy"])
    assert [task.id for task in plan.tasks] == ["deploy:root/a", "deploy:root/b", "deploy:root"]
    assert client.deployments() == []


def test_unknown_names_tell_the_near_ones(client: Client) -> None:
    """Typos get the nearest name."""
    client.submit(tree(), name="search")
    with pytest.raises(UnknownDeployment, match="search"):
        client.deployment("serach")
    with pytest.raises(UnknownDeployment, match="generation 7"):
        client.deployment("search@7")
    assert client.deployment("search@1").id == "search@1"


def test_a_submission_waits_for_a_script_that_runs_long(client: Client) -> None:
    """Its own, sent again: a server that runs one for long answers BUSY to everybody."""
    server = client.store.clients.scripts
    slow = "local t = redis.call('TIME')[1] + 2 while redis.call('TIME')[1] + 0 < t do end"
    assert client.store.deployments.reserve("demo", "s").generation == 1
    # Under its old name, which newer servers know too.
    [(setting, usual)] = server.config_get("lua-time-limit").items()
    server.config_set(setting, 1)
    thread = threading.Thread(target=server.eval, args=(slow, 0))
    thread.start()
    try:
        wait_until(lambda: is_busy(client), description="the server runs a script")
        submission = Submission(
            id="s", name="demo", generation=1, kinds=(), tasks=(), plan=b"p", tree=b"t"
        )
        client.store.deployments.create(submission)
        assert client.store.deployments.generation("demo", 1) is not None
    finally:
        thread.join()
        server.config_set(setting, usual)


def is_busy(client: Client) -> bool:
    try:
        client.store.clients.blocking.ping()
    except ResponseError as error:
        return str(error).startswith("BUSY")
    return False


def test_no_redis_and_no_secret_are_said(redis_url: str, prefix: str) -> None:
    """Each error says what to set."""
    with pytest.raises(NoRedis, match="REDIS_URL"):
        orchestrator.connect()
    with pytest.raises(NoRedis, match=r"127\.0\.0\.1:1"):
        orchestrator.connect("redis://127.0.0.1:1")
    client = orchestrator.connect(redis_url, prefix=prefix)
    with pytest.raises(MissingSecret, match="ROOTWARD_SECRET"):
        client.submit(tree())
    client.close()
