"""What people can do to a network: freeze, kill, drain, redeploy; and what then still holds.

Each test breaks one thing by hand, with real processes, and looks at what callers see.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil
import pytest

from rootward import orchestrator
from tests.support.leaks import is_alive
from tests.support.programs import Program, rootward
from tests.support.sites import Site
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network


@pytest.fixture
def site(network: Network) -> Iterator[Site]:
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        yield Site(network, client)


class Caller:
    """Calls what is served without a pause, and keeps what went wrong; a context manager."""

    def __init__(self, site: Site, service: str) -> None:
        self.site, self.service = site, service
        self.answers: list[object] = []
        self.errors: list[Exception] = []
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(2)]

    def _call(self) -> None:
        while not self._ending.is_set():
            try:
                self.answers.append(self.site.client.gateway.call(self.service, 1))
            except Exception as error:
                self.errors.append(error)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(30)


def test_a_frozen_slot_is_killed_and_its_task_tried_again(site: Site) -> None:
    worker = site.worker()
    gate = str(site.network.folder / "gate")
    running = site.scripted(("wait_for", gate))
    wait_until(Path(gate + ".begun").exists, description="the task runs")
    slots = [
        process
        for process in psutil.Process(worker.process.pid).children(recursive=True)
        if not process.children()
    ]
    for slot in slots:
        slot.send_signal(signal.SIGSTOP)
    Path(gate).touch()
    running.wait(30)
    assert site.task("scripted").attempt == 2


def test_a_drain_replaces_what_is_served_before_it_withdraws_it(site: Site) -> None:
    first = site.worker()
    site.submit("served", "served").wait(20)
    site.worker()
    before = site.replica("served")
    with Caller(site, "served") as caller:
        wait_until(lambda: len(caller.answers) > 20, description="it is called")
        assert first.stop(signal.SIGTERM) == 0, first.report()
        after = site.replica("served")
        so_far = len(caller.answers)
        wait_until(lambda: len(caller.answers) > so_far + 20, description="it is called")
    assert caller.errors == []
    assert (after.worker, after.pid != before.pid) == ("w2", True)


def test_a_new_generation_takes_over_without_a_failed_call(site: Site) -> None:
    site.worker()
    site.submit("served", "served").wait(20)
    with Caller(site, "served") as caller:
        wait_until(lambda: len(caller.answers) > 20, description="it is called")
        second = site.submit("served", "served").wait(30)
        site.client.deployment("served", 1).wait_stopped(20)
        so_far = len(caller.answers)
        wait_until(lambda: len(caller.answers) > so_far + 20, description="it is called")
    assert caller.errors == []
    assert second.generation == 2


def test_a_new_generation_that_fails_leaves_the_old_one_as_it_was(site: Site) -> None:
    site.worker()
    site.submit("served", "served").wait(20)
    before = site.replica("served")
    with Caller(site, "served") as caller:
        with pytest.raises(orchestrator.DeploymentFailed, match="no such model"):
            site.submit("broken", "served").wait(30)
        wait_until(
            lambda: site.client.store.registry.replicas("served", 2) == [],
            description="nothing of the new one is left",
        )
    assert caller.errors == []
    assert site.replica("served") == before
    assert str(site.client.deployment("served", 1).status().state) == "ready"


def test_a_frozen_agents_replicas_end_by_themselves(site: Site) -> None:
    """Nobody may be answered by what another worker has replaced."""
    worker = site.worker(lease=1.0)
    site.submit("served", "served").wait(20)
    replica = psutil.Process(site.replica("served").pid)
    worker.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(
            lambda: not is_alive(replica),
            description="the replica has ended",
            timeout=10,
        )
    finally:
        worker.process.send_signal(signal.SIGCONT)
    wait_until(lambda: site.replica("served"), description="it is back", timeout=20)


def test_a_killed_template_costs_what_it_held_a_restart(site: Site) -> None:
    worker = site.worker()
    site.submit("served", "served").wait(20)
    before = site.replica("served")
    parents = psutil.Process(before.pid).parents()
    template = parents[0]
    assert worker.process.pid in {each.pid for each in parents}
    template.kill()
    after = wait_until(
        lambda: (now := site.replica("served")) and now.pid != before.pid and now,
        description="another process serves",
        timeout=20,
    )
    assert site.client.gateway.call("served", 1) == [1, after.pid]


SLOW_TO_LOAD = """
import os, time
from pathlib import Path
import trees
loading = Path({loading!r})
# Only in the worker, and only the first time.
if 'ROOTWARD_LEASE_SECONDS' in os.environ and not loading.exists():
    loading.write_text(str(os.getpid()))
    time.sleep(60)
tree = trees.plain()
"""


def test_a_template_that_is_killed_while_it_loads_fails_no_task(site: Site) -> None:
    site.worker()
    loading, slow = (site.network.folder / name for name in ("loading", "slow.py"))
    slow.write_text(SLOW_TO_LOAD.format(loading=str(loading)))
    deployment = site.client.submit(f"{slow}:tree", name="slow", by_value=False)
    pid = wait_until(
        lambda: loading.exists() and loading.read_text(), description="it loads", timeout=20
    )
    os.kill(int(pid), signal.SIGKILL)
    deployment.wait(30)


def test_a_submitter_that_is_killed_leaves_nothing_or_all(site: Site, network: Network) -> None:
    site.worker()
    (network.folder / "plain.py").write_text("import trees\ntree = trees.plain()\n")
    for number, pause in enumerate((0.2, 0.5, 0.8)):
        command = rootward("deploy", "plain.py:tree", "--name", f"plain{number}")
        with Program(
            command, folder=network.folder, environ=network.environ, name="deploy"
        ) as program:
            threading.Event().wait(pause)
            os.kill(program.process.pid, signal.SIGKILL)
            program.wait(5)
    for record in site.client.deployments():
        site.client.deployment(record.name).wait(20)


def test_what_is_cancelled_is_resumed_where_it_was(site: Site) -> None:
    site.worker()
    gate = str(site.network.folder / "gate")
    running = site.scripted(("wait_for", gate))
    wait_until(Path(gate + ".begun").exists, description="the task runs")
    running.cancel()
    wait_until(
        lambda: site.client.store.agents.all()[0].held == 0, description="the task was stopped hard"
    )
    assert str(site.task("scripted").state) == "cancelled"
    Path(gate).touch()
    running.resume()
    running.wait(20)


def test_scale_brings_replicas_and_takes_them_away(site: Site, network: Network) -> None:
    site.worker()
    site.submit("served", "served").wait(20)
    for wanted in ("3", "1"):
        command = rootward("scale", "served", wanted)
        with Program(
            command, folder=network.folder, environ=network.environ, name="scale"
        ) as program:
            assert program.wait(20) == 0, program.report()
        wait_until(
            lambda wanted=wanted: (
                [str(each.state) for each, _ in site.client.store.registry.replicas("served", 1)]
                == ["ready"] * int(wanted)
            ),
            description=f"{wanted} replicas are ready",
            timeout=30,
        )


def test_a_task_that_ends_its_worker_is_set_aside_and_its_siblings_go_on(
    site: Site, network: Network
) -> None:
    source = """
import os, signal, psutil
class Deadly(Scripted):
    def act(self):
        for process in psutil.Process().parents():
            if process.cmdline()[1:4] == ['-P', '-m', 'rootward.worker']:
                process.kill()
        while True:
            time.sleep(1)

class Root(ModuleBase):
    def __init__(self):
        super().__init__(name='root')
        self.parts = [Deadly(), Part(name='b'), Part(name='c')]

tree = Root()
"""
    path = network.folder / "deadly.py"
    path.write_text(site.path.read_text() + source)
    deployment = site.client.submit(f"{path}:tree", name="deadly")
    for _ in range(3):
        worker = site.worker(lease=1.0)
        worker.wait(20)
    site.worker(lease=1.0)
    with pytest.raises(orchestrator.DeploymentFailed, match="3 times"):
        deployment.wait(30)
    states = {task.path: str(task.state) for task in site.client.store.tasks.of("deadly", 1)}
    assert states["deadly/scripted"] == "failed"
    assert (states["deadly/b"], states["deadly/c"]) == ("succeeded", "succeeded")
