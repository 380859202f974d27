"""What is told of replicas stays true also when Redis refuses to hear it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.modules import ModuleBase, ServerModule
from rootward.orchestrator.settings import Secret, Settings
from rootward.orchestrator.store.scripts import source
from rootward.worker import Agent
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from rootward.orchestrator.client.deployment import Deployment


class Echo(ModuleBase):
    """Answers what it is asked."""

    def forward(self, value: object = None) -> object:
        print(value)
        return value


class Refusal:
    """Has Redis refuse scripts, as it does where a right is missing; counts what it refused."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis, self._prefix = redis, prefix

    def source(self, name: str) -> str:
        key = self._key(name)
        refuse = f"redis.call('INCR', '{key}') return redis.error_reply('NOPERM no')"
        return f"if redis.call('EXISTS', '{key}') == 1 then {refuse} end\n{source(name)}"

    def begin(self, name: str) -> None:
        self._redis.set(self._key(name), 0, ex=120)

    def end(self, name: str) -> None:
        self._redis.delete(self._key(name))

    def count(self, name: str) -> int:
        return int(self._redis.get(self._key(name)) or 0)

    def _key(self, name: str) -> str:
        return f"{self._prefix}:refused:{name}"


@pytest.fixture
def client(redis_url: str, prefix: str, secret: str) -> Iterator[orchestrator.Client]:
    with orchestrator.connect(redis_url, secret=secret, prefix=prefix) as client:
        yield client


@pytest.fixture
def refusal(client: orchestrator.Client, monkeypatch: pytest.MonkeyPatch) -> Refusal:
    refusal = Refusal(client.store.clients.scripts, client.keys.prefix)
    monkeypatch.setattr("rootward.orchestrator.store.scripts.source", refusal.source)
    return refusal


@pytest.fixture
def _agent(redis_url: str, prefix: str, secret: str, refusal: Refusal) -> Iterator[None]:
    settings = Settings(redis_url=redis_url, prefix=prefix, secret=Secret(secret))
    agent = Agent(settings=settings, slots=1)
    agent.start()
    yield
    for name in ("drop_replica", "replica_log"):
        refusal.end(name)
    agent.stop(5)


def deployed(client: orchestrator.Client) -> Deployment:
    return client.submit(ServerModule(Echo(), name="echo"), name="echo").wait(30)


@pytest.mark.usefixtures("_agent")
def test_a_dead_replica_leaves_the_registry_though_redis_has_refused_it(
    client: orchestrator.Client, refusal: Refusal
) -> None:
    """Its agent lives, so no lease would ever end for it."""
    deployment = deployed(client)
    refusal.begin("drop_replica")
    deployment.stop(timeout=0)
    wait_until(lambda: refusal.count("drop_replica") > 1, description="it is tried again")
    assert client.store.registry.replicas("echo", 1)
    refusal.end("drop_replica")
    deployment.wait_stopped(30)
    assert client.store.registry.replicas("echo", 1) == []


@pytest.mark.usefixtures("_agent")
def test_a_replica_leaves_also_when_its_output_is_refused(
    client: orchestrator.Client, refusal: Refusal
) -> None:
    deployment = deployed(client)
    refusal.begin("replica_log")
    for number in (1, 2):
        client.gateway.call("echo", "said")
        wait_until(lambda n=number: refusal.count("replica_log") >= n, description="it was printed")
    deployment.stop(timeout=0)
    deployment.wait_stopped(30)
