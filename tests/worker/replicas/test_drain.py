"""A call that was begun ends: whatever takes its replica away waits for it, and says so."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rootward import orchestrator
from rootward.modules import ModuleBase, ServerModule
from rootward.orchestrator.settings import Secret, Settings
from rootward.worker import Agent
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.orchestrator import Client


class Held(ModuleBase):
    """Answers a call when a file is there, or at once."""

    def forward(self, gate: str = "") -> str:
        if gate:
            Path(f"{gate}.begun").touch()
            wait_until(Path(gate).exists, description="the gate opens", timeout=60)
        return "whole"


class Gated:
    """One call that is under way until its gate is opened."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.gate = folder / "gate"
        self.answers: list[Any] = []
        self._client = client
        self._thread = threading.Thread(target=self._call)
        self._thread.start()
        wait_until((folder / "gate.begun").exists, description="the call has begun")

    def open(self) -> list[Any]:
        self.gate.touch()
        self._thread.join(30)
        return self.answers

    def _call(self) -> None:
        try:
            self.answers.append(self._client.gateway.call("held", str(self.gate)))
        except Exception as error:
            self.answers.append(error)


@pytest.fixture
def settings(redis_url: str, prefix: str, secret: str) -> Settings:
    return Settings(redis_url=redis_url, prefix=prefix, secret=Secret(secret), lease_seconds=5.0)


@pytest.fixture
def client(settings: Settings, secret: str) -> Iterator[Client]:
    with orchestrator.connect(settings.redis_url, secret=secret, prefix=settings.prefix) as client:
        yield client


@pytest.fixture
def agent(settings: Settings) -> Iterator[Agent]:
    agent = Agent(settings=settings, slots=1, name="first")
    agent.start()
    yield agent
    agent.stop(5)


def deployed(client: Client) -> orchestrator.deployment.Deployment:
    return client.submit(ServerModule(Held(), name="held"), name="held").wait(30)


@pytest.fixture
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is prompt be so at once: whoever waits must have been told to."""
    monkeypatch.setattr("rootward.orchestrator.control.reconcile.DRAIN_GRACE_S", 0.0)


@pytest.mark.usefixtures("_no_grace", "agent")
def test_call_outlives_the_generation_that_it_began_in(client: Client, tmp_path: Path) -> None:
    old = deployed(client)
    call = Gated(client, tmp_path)
    deployed(client)
    wait_until(
        lambda: "ends the 1 calls that it has begun" in (old.status().reason or ""),
        description="it says why it is still there",
    )
    assert client.gateway.call("held") == "whole"
    assert call.open() == ["whole"]
    old.wait_stopped(30)


@pytest.mark.usefixtures("_no_grace", "agent")
def test_stop_cuts_also_what_was_given_longer(client: Client, tmp_path: Path) -> None:
    old = deployed(client)
    call = Gated(client, tmp_path)
    new = deployed(client)
    wait_until(
        lambda: "ends the 1 calls" in (old.status().reason or ""), description="it waits for it"
    )
    new.stop()
    new.wait_stopped(30)
    old.wait_stopped(30)
    [answer] = call.open()
    assert isinstance(answer, Exception)


def test_call_outlives_the_drain_of_its_worker(
    settings: Settings, client: Client, tmp_path: Path
) -> None:
    """What a signal does: tasks have seconds, calls minutes."""
    agent = Agent(settings=replace(settings, task_drain_seconds=0.5), slots=1)
    agent.start()
    deployed(client)
    call = Gated(client, tmp_path)
    agent._on_loop(lambda shift: shift.stop_asked.set())
    try:
        wait_until(
            lambda: [e.reason for e in client.gateway.endpoints("held") if e.state == "draining"],
            description="it says why it is still there",
        )
        assert [each.info.state for each in client.workers()] == ["draining"]
    finally:
        assert call.open() == ["whole"]
        assert agent._ended.wait(30)
    assert client.workers() == []


def test_stop_with_a_deadline_keeps_it(settings: Settings, client: Client, tmp_path: Path) -> None:
    agent = Agent(settings=settings, slots=1)
    agent.start()
    deployed(client)
    call = Gated(client, tmp_path)
    agent.stop(1)
    assert client.workers() == []
    call.open()
