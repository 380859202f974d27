"""A host that vanishes with a call under way: the registry withdraws it, and the call goes on."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from rootward import orchestrator
from tests.support.gateways import gateway, opened
from tests.support.sites import Site
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network

SOURCE = """
import os, time
from rootward import ModuleBase, ServerModule

class Once(ModuleBase):
    def forward(self, path: str):
        '''Answer never, the first time.'''
        if os.path.exists(path + '.open'):
            return os.getpid()
        with open(path, 'a') as file:
            file.write('called')
        time.sleep(1000)

def tree():
    return ServerModule(Once(), name='once')
"""


@pytest.fixture
def site(network: Network) -> Iterator[Site]:
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        yield Site(network, client)


@contextlib.contextmanager
def vanished(pid: int) -> Iterator[None]:
    """Stop a worker and all below it: connections are held by the kernel, and nobody answers."""
    root = psutil.Process(pid)
    processes = [root, *root.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def test_calls_of_python_and_of_the_gateway_go_on_at_another_host(site: Site) -> None:
    site.path.write_text(SOURCE)
    first = site.worker()
    site.submit("tree", "once").wait(20)
    before = site.replica("once").pid
    path = Path(site.network.folder / "calls")
    answers: list[object] = []
    with gateway(site.network) as program:
        served = opened(program, site.network.folder)
        callers = [
            threading.Thread(
                target=lambda: answers.append(site.client.gateway.call("once", str(path)))
            ),
            threading.Thread(target=lambda: answers.append(served.result("once", str(path)))),
        ]
        for caller in callers:
            caller.start()
        wait_until(
            lambda: path.exists() and path.stat().st_size == 12,
            description="both calls are under way",
        )
        with vanished(first.process.pid):
            # What they call again answers at once.
            Path(f"{path}.open").touch()
            site.worker()
            for caller in callers:
                caller.join(30)
    assert len(answers) == 2
    assert before not in answers
