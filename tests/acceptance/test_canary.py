"""No secret is found where it has no business: Redis, answers, command lines, logs, /proc."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
import socket
from typing import TYPE_CHECKING
from urllib.request import urlopen

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError

from rootward.orchestrator.embedded.server import find_binary
from tests.support.gateways import Gateway, gateway, opened
from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Network

APP = """
import os
from rootward import ModuleBase, ServerModule

class Who(ModuleBase):
    def _get_train_tasks(self):
        return self.train
    def train(self):
        self.environ = dict(os.environ)
        print('training with', sorted(self.environ.values()))
    def forward(self, x: int = 0):
        if x:
            raise ValueError(sorted(os.environ.values()))
        return [dict(os.environ), self.environ]

class Broken(ModuleBase):
    def _get_train_tasks(self):
        return self.train
    def train(self):
        raise ValueError(sorted(os.environ.values()))

def tree():
    return ServerModule(Who(), name='app')

def broken():
    return Broken(name='broken')
"""
PAGES = (
    *(
        "/",
        "/assets/js/main.js",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/api/services",
        "/api/workers",
    ),
    *("/api/deployments", "/api/deployments/app", "/api/deployments/broken"),
    *("/api/board?watch=app@1&watch=broken@1", "/api/session"),
    *("/api/deployments/broken/history", "/api/deployments/broken/logs"),
    *("/services/app/docs", "/services/app/openapi.json", "/services/app/metrics"),
    *("/services/app/healthz", "/services/nobody", "/nowhere", "/api/deployments/nobody"),
)


class Canaries:
    """Secrets that are found wherever they are, also in the usual disguises."""

    def __init__(self, **values: str) -> None:
        self._forms = {
            f"{name} as {form}": made
            for name, value in values.items()
            for form, made in (
                ("text", value.encode()),
                ("hex", value.encode().hex().encode()),
                ("base64", base64.b64encode(value.encode()).rstrip(b"=")[:-2]),
                ("utf-16", value.encode("utf-16-le")),
            )
        }

    def check(self, where: str, data: bytes | str) -> None:
        found = data if isinstance(data, bytes) else data.encode(errors="surrogateescape")
        seen = [name for name, form in self._forms.items() if form in found]
        assert not seen, f"{seen} in {where}"


@pytest.fixture
def password() -> str:
    return f"canary-password-{secrets.token_hex(16)}"


@pytest.fixture
def guarded(network: Network, password: str) -> Iterator[Network]:
    """A network with a secret of its own, on a Redis that asks for a password."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    config = network.folder / "redis.conf"
    # In a file, as on a command line everybody could read it.
    config.write_text(f'port {port}\nbind 127.0.0.1\nsave ""\nrequirepass {password}\n')
    network.url = f"redis://:{password}@127.0.0.1:{port}/0"
    network.secret = f"canary-secret-{secrets.token_hex(16)}"
    network.more = {"ROOTWARD_METRICS_PORT": "0"}
    with (
        Program([str(find_binary()), str(config)], folder=network.folder, name="redis"),
        Redis.from_url(network.url) as redis,
    ):
        wait_until(lambda: _answers(redis), description="the server answers", timeout=20)
        yield network
        for worker in network.workers:
            worker.stop()


def _answers(redis: Redis) -> bool:
    with contextlib.suppress(OSError, RedisError):
        return bool(redis.ping())
    return False


def stored(redis: Redis) -> Iterator[tuple[str, bytes]]:
    """Yield every key of a server with all that it holds."""
    readers = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
        b"stream": redis.xrange,
    }
    for key in redis.scan_iter(count=1000):
        value = readers[redis.type(key)](key)
        # Bytes within are written by repr as they are, but for what isn't ASCII.
        yield key.decode(errors="replace"), key + repr(value).encode() + (redis.dump(key) or b"")


def told(served: Gateway, network: Network) -> Iterator[tuple[str, bytes]]:
    """Yield what HTTP tells, with the token and without."""
    known = {"Authorization": f"Bearer {served.token}"}
    for page in PAGES:
        yield page, served.ask(page)[1] + served.ask(page, **known)[1]
    yield "a refused change", served.ask("/api/deployments/app/stop", {})[1]
    for number in (0, 1):
        yield f"an answer {number}", served.ask("/services/app", number)[1]
    for worker in network.workers:
        found = re.search(r"metrics at (\S+)", worker.stderr)
        assert found is not None
        with urlopen(found[1], timeout=10) as answer:
            yield "a worker's metrics", answer.read()
    with urlopen(f"{served.url}/api/deployments/app/events", timeout=20) as stream:
        for _ in range(20):
            yield "events", stream.readline()


def printed(network: Network) -> Iterator[tuple[str, str]]:
    """Yield what commands print, also about what goes wrong."""
    away = {**network.environ, "REDIS_URL": network.url.replace("@127.0.0.1", "@127.0.0.2")}
    wrong = {**network.environ, "REDIS_URL": network.url.replace(":canary", ":wrong-canary")}
    odd = {**network.environ, "REDIS_URL": network.url.replace("redis://", "reddis://")}
    for arguments, environ in (
        (("status", "app", "--json"), network.environ),
        (("events", "app"), network.environ),
        (("logs", "app"), network.environ),
        (("logs", "broken"), network.environ),
        (("workers", "--json"), network.environ),
        (("doctor",), network.environ),
        (("status",), away),
        (("status",), wrong),
        (("status",), odd),
        (("worker", "--burst"), away),
        (("worker", "--burst"), wrong),
        (("gateway", "serve", "--port", "0"), wrong),
    ):
        program = run(rootward(*arguments), folder=network.folder, environ=environ)
        yield " ".join(arguments), program.stdout + program.stderr


def processes(*programs: Program) -> Iterator[tuple[str, str]]:
    """Yield all command lines, and the environment of whatever runs the user's code."""
    for program in programs:
        own = psutil.Process(program.process.pid)
        yield f"the command line of {program.command[1]}", " ".join(own.cmdline())
        for child in own.children(recursive=True):
            line = " ".join(child.cmdline())
            yield "a child's command line", line
            yield f"the environment of {line}", json.dumps(child.environ())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_no_secret_is_found_anywhere(guarded: Network, password: str) -> None:
    network = guarded
    (network.folder / "app.py").write_text(APP)
    token = f"canary-token-{secrets.token_hex(16)}"
    place: Path = network.folder / "token"
    place.write_text(token)
    place.chmod(0o600)
    canaries = Canaries(secret=network.secret, token=token, password=password)
    worker = network.worker()
    deployed = [
        run(rootward("deploy", f"app.py:{each}"), folder=network.folder, environ=network.environ)
        for each in ("tree", "broken")
    ]
    assert [each.process.returncode for each in deployed] == [0, 1], deployed[0].report()
    with gateway(network) as program, Redis.from_url(network.url) as redis:
        served = opened(program, network.folder)
        assert served.token == token
        assert served.ask("/services/app", 0)[0] == 200
        for where, what in told(served, network):
            canaries.check(where, what)
        for where, shown in printed(network):
            canaries.check(where, shown)
        for where, shown in processes(worker, program):
            canaries.check(where, shown)
        keys = 0
        for key, value in stored(redis):
            keys += 1
            canaries.check(key, value)
        assert keys > 20
        for each in (worker, program, *deployed):
            canaries.check(f"the output of {each.command[1]}", each.stdout + each.stderr)
    stopped = run(rootward("stop", "app"), folder=network.folder, environ=network.environ)
    assert stopped.process.returncode == 0, stopped.report()


def test_a_canary_is_found_where_it_is() -> None:
    canaries = Canaries(secret="canary-secret-0123456789")
    canaries.check("nothing", b"canary")
    for data in (
        "x canary-secret-0123456789 y",
        base64.b64encode(b"canary-secret-0123456789"),
        b"canary-secret-0123456789".hex(),
    ):
        with pytest.raises(AssertionError, match="secret as"):
            canaries.check("here", data)
