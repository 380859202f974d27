"""The servers that the store must work on, and what each test must leave behind.

Every test of this folder runs on each backend: fakeredis in this process, a private Valkey, and the
server of `TEST_REDIS_URL` (else a `redis-server` from PATH). A backend that isn't there is skipped,
but under CI only the last may be missing. Nothing is flushed: a test has a prefix of its own, and
after it each of its keys must have a time to live or be listed as lasting.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.keys import Keys, Lasts
from rootward.orchestrator.store.store import Store
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis


@pytest.fixture(scope="session")
def fake_clients() -> Clients:
    fakeredis = pytest.importorskip("fakeredis")
    return Clients.sharing(fakeredis.FakeRedis(protocol=2))


@pytest.fixture(scope="session")
def valkey_clients(redis_url: str) -> Iterator[Clients]:
    clients = Clients(redis_url, name="rootward-tests")
    yield clients
    clients.close()


@pytest.fixture(scope="session")
def other_clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    url, server = os.environ.get("TEST_REDIS_URL"), None
    if not url:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("neither TEST_REDIS_URL nor a redis-server on PATH")
        url, server = _start(program, tmp_path_factory.mktemp("redis"))
    clients = Clients(url, name="rootward-tests")
    wait_until(lambda: _answers(clients), description="the server answers")
    yield clients
    clients.close()
    if server is not None:
        server.kill()
        server.wait()


@pytest.fixture(params=["fake", "valkey", "other"])
def server(request: pytest.FixtureRequest) -> Clients:
    """One of the backends."""
    clients = request.getfixturevalue(f"{request.param}_clients")
    assert isinstance(clients, Clients)
    return clients


@pytest.fixture
def store(server: Clients, prefix: str) -> Iterator[Store]:
    """A store of its own on one of the backends, checked after the test."""
    store = Store(server, Keys(prefix=prefix))
    yield store
    assert list(lasting_too_long(store)) == []


def lasting_too_long(store: Store) -> Iterator[str]:
    """Yield every key of the store that has neither a time to live nor a reason to last."""
    client: Redis = store.clients.scripts
    active = {f"{name}@{number}" for name, number in store.deployments.active()}
    for name in {each.rpartition("@")[0] for each in active}:
        # What a deployment keeps however old it is stays as long as anything of it lives.
        kept = client.hget(store.keys.name(name), "kept") or b""
        active |= {f"{name}@{number}" for number in kept.decode().split()}
    for raw in client.scan_iter(match=f"*{store.keys.prefix}*", count=1000):
        key = raw.decode()
        if client.ttl(key) != -1:
            continue
        why = store.keys.lasting(key)
        if why is Lasts.ALWAYS or (why is Lasts.WHILE_ACTIVE and _owner(store, key) & active):
            continue
        yield key


def _owner(store: Store, key: str) -> set[str]:
    """Return the generations that a key which lasts while they are active belongs to."""
    if key.startswith(store.keys.bundle("")):
        digest = key.removeprefix(store.keys.bundle("")).removesuffix(":users")
        users = store.clients.scripts.zrange(store.keys.bundle_users(digest), 0, -1)
        return {user.decode() for user in users}
    found = re.match(r".*:\{(.+)\}(?::(\d+))?", key)
    if found and found[2]:
        return {f"{found[1]}@{found[2]}"}
    if found:
        return {
            f"{each.name}@{each.generation}" for each in store.deployments.generations(found[1])
        }
    place = store.tasks.place_of(key.removeprefix(store.keys.job("")))
    return {f"{place[0]}@{place[1]}"} if place else set()


def _start(program: str, folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    path = folder / "s"
    process = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return f"unix://{path}", process


def _answers(clients: Clients) -> bool:
    try:
        return bool(clients.heartbeat.ping())
    except OSError:
        return False
    except Exception as error:
        if type(error).__name__ == "ConnectionError":
            return False
        raise
