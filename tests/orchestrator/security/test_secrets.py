"""Who has another secret than the workers that live is told so before anything is written."""

from __future__ import annotations

from threading import current_thread
from typing import TYPE_CHECKING, Any

import pytest
from redis.connection import AbstractConnection

from rootward import orchestrator
from rootward.modules.module import ModuleBase
from rootward.orchestrator.errors import WrongSecret
from rootward.orchestrator.gateway import traefik
from rootward.orchestrator.gateway.serve import ServeOptions, run
from tests.support import programs
from tests.support.scripted import ScriptedWorker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rootward.orchestrator.client.client import Client


class Trains(ModuleBase):
    """A module with one task."""

    def _get_train_tasks(self) -> object:
        return lambda: None


@pytest.fixture
def worker(redis_url: str, prefix: str, secret: str) -> Iterator[ScriptedWorker]:
    """A worker that lives and has agreed on its secret, as `rootward.worker.agent.agent` does."""
    with orchestrator.connect(redis_url, secret=secret, prefix=prefix) as client:
        client.store.agents.agree(client.signer.fingerprints(prefix)[0])
        yield ScriptedWorker(client)


@pytest.fixture
def stranger(redis_url: str, prefix: str) -> Iterator[Client]:
    """A client with a secret that no worker has."""
    client = orchestrator.connect(redis_url, secret="no worker has this secret", prefix=prefix)
    yield client
    client.close()


def keys_of(client: Client) -> set[bytes]:
    return set(client.store.clients.scripts.scan_iter(f"*{client.keys.prefix}*"))


@pytest.mark.usefixtures("worker")
def test_a_submission_that_no_worker_could_verify_is_refused_and_writes_nothing(
    stranger: Client,
) -> None:
    before = keys_of(stranger)
    with pytest.raises(WrongSecret, match="set the same ROOTWARD_SECRET"):
        stranger.submit(Trains(name="demo"))
    with stranger, pytest.raises(WrongSecret, match="set the same ROOTWARD_SECRET"):
        Trains(name="own").update()
    assert keys_of(stranger) == before


def test_with_no_worker_alive_any_secret_may_submit(
    worker: ScriptedWorker, stranger: Client
) -> None:
    """Who brings the next worker up decides which one holds."""
    worker.store.agents.leave(worker.info.id)
    assert stranger.submit(Trains(name="demo"), kinds=("train",)).id == "demo@1"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The thread of each request that this process has sent to Redis since the test began."""
    threads: list[str] = []
    send = AbstractConnection.send_packed_command

    def counted(self: AbstractConnection, *args: Any, **kwargs: Any) -> Any:
        threads.append(current_thread().name)
        return send(self, *args, **kwargs)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    return threads


@pytest.mark.usefixtures("worker")
def test_comparing_costs_no_round_trip(
    redis_url: str, prefix: str, secret: str, sent: list[str]
) -> None:
    """It is done in the step that gives the generation its number."""
    with orchestrator.connect(redis_url, secret=secret, prefix=prefix) as client:
        # What is imported with the first submission is part of the second one's code.
        for _ in range(2):
            client.submit(Trains(name="demo"), kinds=("train",))
        sent.clear()
        client.submit(Trains(name="demo"), kinds=("train",))
        # Reserve, ask for the code, create, say what it is made of.
        assert sent.count(current_thread().name) == 4


@pytest.mark.usefixtures("worker")
def test_a_gateway_that_could_check_no_address_does_not_start(stranger: Client) -> None:
    with pytest.raises(WrongSecret, match="ROOTWARD_SECRET"):
        run(stranger, ServeOptions(host="127.0.0.1", port=0, token="t"), pytest.fail)
    with pytest.raises(WrongSecret, match="ROOTWARD_SECRET"):
        traefik.export(stranger, root="traefik", follow=False, told=pytest.fail)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "command",
    [
        ("deploy", "app.py:tree", "--detach"),
        ("gateway", "serve", "--port", "0", "--token-file", "token"),
        ("gateway", "export", "traefik"),
    ],
    ids=" ".join,
)
def test_on_the_command_line_it_is_wrong_usage(
    command: tuple[str, ...], redis_url: str, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(
        "from rootward import ModuleBase\ntree = ModuleBase(name='a')\n"
    )
    environ = {
        "REDIS_URL": redis_url,
        "ROOTWARD_PREFIX": prefix,
        "ROOTWARD_SECRET": "no worker has this secret",
    }
    told = programs.run(programs.rootward(*command), folder=tmp_path, environ=environ)
    assert (told.process.returncode, "ROOTWARD_SECRET" in told.stderr) == (2, True), told.stderr
