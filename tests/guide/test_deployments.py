"""The life of a deployment through a client, as a user's program goes through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward.modules import ModuleBase, ServerModule
from rootward.orchestrator import DeploymentCancelled, DeploymentFailed, OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rootward.orchestrator import Client


class Echo(ModuleBase):
    def forward(self, value: object = None) -> object:
        return value


class Trained(ModuleBase):
    def __init__(self, task: Callable[[], object]) -> None:
        super().__init__()
        self.task = task

    def _get_train_tasks(self) -> object:
        return self.task


class Counting(ModuleBase):
    def forward(self, count: int) -> Iterator[int]:
        yield from range(count)


def fails() -> None:
    print("about to fail")
    raise ValueError("no good data")


def hangs() -> None:
    import threading

    threading.Event().wait()


def test_a_function_that_returns_a_tree_can_be_submitted(client: Client, name: str) -> None:
    deployment = client.submit(lambda: ServerModule(Echo()), name=name).wait(30)
    assert client.gateway.call(name, 3) == 3
    deployment.stop()


def test_after_the_wait_calls_go_to_the_new_generation(client: Client, name: str) -> None:
    class Says(ModuleBase):
        def __init__(self, word: str) -> None:
            super().__init__()
            self.word = word

        def forward(self) -> str:
            return self.word

    for word in ("first", "second", "third"):
        deployment = client.submit(ServerModule(Says(word)), name=name).wait(30)
        assert client.gateway.call(name) == word
    deployment.stop()


def test_stop_returns_when_nothing_is_served_any_more(client: Client, name: str) -> None:
    deployment = client.submit(ServerModule(Echo()), name=name).wait(30)
    deployment.stop()
    assert deployment.status().state == "stopped"
    assert client.gateway.endpoints(name) == []


def test_what_was_stopped_can_be_resumed(client: Client, name: str) -> None:
    deployment = client.submit(ServerModule(Echo()), name=name).wait(30)
    deployment.stop()
    deployment.resume().wait(30)
    assert client.gateway.call(name, "back") == "back"
    deployment.stop()


def test_what_was_stopped_has_no_scale(client: Client, name: str) -> None:
    client.submit(ServerModule(Echo()), name=name).wait(30).stop()
    with pytest.raises(OrchestratorError, match="is stopped"):
        client.scale(name, name, 2)


def test_a_timeout_ends_only_the_waiting(client: Client, name: str) -> None:
    deployment = client.submit(Trained(hangs), name=name)
    with pytest.raises(TimeoutError) as raised:
        deployment.wait(timeout=0.1)
    assert isinstance(raised.value, OrchestratorError)
    assert deployment.status().state in {"pending", "progressing"}
    deployment.cancel()
    with pytest.raises(DeploymentCancelled):
        deployment.wait(10)


def test_a_failure_tells_task_worker_error_and_output(client: Client, name: str) -> None:
    deployment = client.submit(Trained(fails), name=name)
    with pytest.raises(DeploymentFailed) as raised:
        deployment.wait(30)
    for words in (f"train:{name}", "guide", "attempt 1", "ValueError: no good data", "about to"):
        assert words in str(raised.value)


def test_a_failure_shows_the_output_of_its_last_attempt(client: Client, name: str) -> None:
    deployment = client.submit(Trained(fails), name=name, retries=1)
    with pytest.raises(DeploymentFailed) as raised:
        deployment.wait(30)
    assert str(raised.value).count("about to fail") == 1
    assert "attempt 2" in str(raised.value)


def test_a_broken_start_is_told_once(client: Client, name: str) -> None:
    class Broken(Echo):
        def setup(self) -> None:
            raise RuntimeError("no model")

    deployment = client.submit(ServerModule(Broken()), name=name)
    with pytest.raises(DeploymentFailed) as raised:
        deployment.wait(30)
    assert str(raised.value).count("RuntimeError: no model") == 1
    assert [failure.task for failure in raised.value.failures] == [f"deploy:{name}"]


def test_logs_of_a_task_that_isnt_there_name_a_near_one(client: Client, name: str) -> None:
    deployment = client.submit(Trained(lambda: print("trained")), name=name).wait(30)
    assert [entry.text for entry in deployment.logs(f"train:{name}")] == ["trained\n"]
    with pytest.raises(OrchestratorError, match=f"train:{name}"):
        deployment.logs(f"train:{name}x")


def test_a_stream_is_called_through_the_gateway(client: Client, name: str) -> None:
    deployment = client.submit(ServerModule(Counting(), stream=True), name=name).wait(30)
    assert list(client.gateway.stream(name, 3)) == [0, 1, 2]
    deployment.stop()


def test_records_are_called_the_same_everywhere(client: Client, name: str) -> None:
    deployment = client.submit(ServerModule(Echo()), name=name).wait(30)
    status = deployment.status()
    assert (status.name, status.id) == (name, deployment.id)
    assert {task.path for task in status.tasks} >= {name}
    assert [service.path for service in status.services] == [name]
    record = next(each for each in client.deployments() if each.name == name)
    assert (record.id, record.generation, record.state) == (f"{name}@1", 1, "ready")
    (worker,) = client.workers()
    assert (worker.name, worker.state, worker.slots) == ("guide", "running", 4)
    assert worker.info.started_at > 0
    deployment.stop()


def test_the_ready_replicas_of_a_failed_first_generation_can_be_called(
    client: Client, name: str
) -> None:
    class Broken(ModuleBase):
        def _get_deploy_tasks(self) -> object:
            return fails

    root = ModuleBase(name="root")
    root.good, root.bad = ServerModule(Echo()), Broken()
    deployment = client.submit(root, name=name)
    with pytest.raises(DeploymentFailed):
        deployment.wait(30)
    assert client.gateway.call(f"{name}/good", 1) == 1
    deployment.stop()


def test_a_call_of_what_was_stopped_says_so_at_once(client: Client, name: str) -> None:
    client.submit(ServerModule(Echo()), name=name).wait(30).stop()
    with pytest.raises(OrchestratorError, match="is stopped"):
        client.gateway.call(name, 1)


def test_events_tell_of_each_task_once(client: Client, name: str) -> None:
    """Also where a service has several replicas, and more than one start behind it."""
    deployment = client.submit(ServerModule(Echo(), replicas=3), name=name).wait(30)
    assert len(client.gateway.endpoints(name)) == 3
    deployment.stop()
    told = [(event.event, event.task) for event in deployment.events(follow=False) if event.task]
    assert told.count(("task.started", f"deploy:{name}")) == 1
    assert told.count(("task.succeeded", f"deploy:{name}")) == 1
