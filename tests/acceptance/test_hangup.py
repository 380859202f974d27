"""A closed terminal ends what runs in it as SIGTERM does, and leaves nothing; `nohup` is heeded."""

from __future__ import annotations

import json
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from tests.support.programs import rootward, run
from tests.support.sites import Site
from tests.support.terminals import TerminalProgram
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network

# Many commands one after the other, on machines that have other work.
pytestmark = pytest.mark.timeout(180)

APP = """
from rootward import ServerModule

tree = ServerModule(lambda value: value, name="app")
"""
ENDS_S = 30.0


@pytest.fixture
def site(network: Network) -> Iterator[Site]:
    (network.folder / "app.py").write_text(APP)
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        yield Site(network, client)


def in_terminal(network: Network, *words: str) -> TerminalProgram:
    return TerminalProgram(words, folder=network.folder, environ=network.environ)


def test_a_worker_drains_when_its_terminal_is_closed(site: Site) -> None:
    with in_terminal(site.network, *rootward("worker", "--slots", "1")) as worker:
        gate = str(site.network.folder / "gate")
        running = site.scripted(("wait_for", gate))
        wait_until(Path(gate + ".begun").exists, description="a task runs", timeout=ENDS_S)
        worker.close_terminal()
        # The shell tells it too.
        worker.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: [agent.info.state for agent in site.client.store.agents.all()] == ["draining"],
            description="it drains",
            timeout=ENDS_S,
        )
        Path(gate).touch()
        assert worker.wait(ENDS_S) == 0
        running.wait(ENDS_S)
    assert site.client.store.agents.all() == []


def test_nohup_keeps_a_worker_when_its_terminal_is_closed(site: Site) -> None:
    with in_terminal(site.network, "nohup", *rootward("worker")) as worker:
        wait_until(site.client.store.agents.all, description="it has joined", timeout=ENDS_S)
        worker.close_terminal()
        site.submit("plain", "plain").wait(ENDS_S)
        worker.process.terminate()
        assert worker.wait(ENDS_S) == 0


def test_a_gateway_ends_when_its_terminal_is_closed(site: Site) -> None:
    with in_terminal(site.network, *rootward("gateway", "serve", "--port", "0")) as gateway:
        wait_until(
            lambda: "the gateway listens at" in gateway.written,
            description="it listens",
            timeout=ENDS_S,
        )
        gateway.close_terminal()
        assert gateway.wait(ENDS_S) == 0


def test_a_deployment_goes_on_when_the_terminal_of_its_submitter_is_closed(site: Site) -> None:
    deploy = rootward("deploy", "app.py:tree")
    with in_terminal(site.network, *deploy) as program:
        wait_until(
            lambda: site.client.store.deployments.get("app"),
            description="it is submitted",
            timeout=ENDS_S,
        )
        program.close_terminal()
        program.wait(ENDS_S)
    site.worker()
    site.client.deployment("app").wait(ENDS_S)


def test_up_stops_all_of_it_when_its_terminal_is_closed(site: Site) -> None:
    """That nothing of it is left is what every test here is looked at for."""
    folder = site.network.folder
    with tempfile.TemporaryDirectory(prefix="rw-h-") as runs:
        environ = {"TMPDIR": runs, "REDIS_URL": None, "XDG_RUNTIME_DIR": None}
        up = rootward("up", "app.py:tree")
        with TerminalProgram(up, folder=folder, environ=environ) as program:
            wait_until(
                lambda: "is ready; Ctrl-C stops" in program.written,
                description="it is up",
                timeout=60,
            )
            program.close_terminal()
            program.wait(ENDS_S)
        listed = run(rootward("deployments", "--json"), folder=folder, environ=environ)
        assert listed.process.returncode == 3, "no state file leads to it any more"


def test_nohup_keeps_up_when_its_terminal_is_closed(site: Site) -> None:
    folder = site.network.folder
    with tempfile.TemporaryDirectory(prefix="rw-h-") as runs:
        environ = {"TMPDIR": runs, "REDIS_URL": None, "XDG_RUNTIME_DIR": None}
        up = ["nohup", *rootward("up", "app.py:tree")]
        log = folder / "nohup.out"
        with TerminalProgram(up, folder=folder, environ=environ) as program:
            wait_until(
                lambda: log.exists() and "is ready; Ctrl-C stops" in log.read_text(),
                description="it is up",
                timeout=60,
            )
            program.close_terminal()
            call = run(rootward("gateway", "call", "app", "7"), folder=folder, environ=environ)
            assert json.loads(call.stdout) == 7
            program.process.terminate()
            program.wait(ENDS_S)
