"""Where figures are measured: a town with workers that have joined, and what callers see of it."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.town import Town
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from rootward.orchestrator.store.records import ReplicaRecord

PAUSE = threading.Event()
"""Never set: waiting for it is how time passes."""

TREES = """
import os, subprocess, sys, time
from rootward import ModuleBase, ServerModule

class Pid(ModuleBase):
    def forward(self, x, pause=0):
        time.sleep(pause)
        return [x, os.getpid()]

def start_kin():
    # A child that is stopped, one in a session of its own, and a grandchild without a parent.
    code = 'import time; time.sleep(600)'
    kin = [subprocess.Popen([sys.executable, '-c', code], start_new_session=bool(i))
           for i in range(2)]
    os.kill(kin[0].pid, 19)
    if os.fork() == 0:
        subprocess.Popen([sys.executable, '-c', code])
        os._exit(0)
    return kin

class Family(Pid):
    kin = None
    def setup(self):
        self.kin = start_kin()

class Busy(ModuleBase):
    def _get_train_tasks(self):
        return self.train
    def train(self):
        start_kin()
        time.sleep(600)

served = ServerModule(Pid(), name='one', replicas=2)
once = ServerModule(Pid(), name='one', replicas=2, repeatable=False)
sole = ServerModule(Pid(), name='one', exclusive=True)
family = ServerModule(Family(), name='family')
busy = Busy(name='busy')
"""


def new_town(lease_s: float = 3.0) -> Town:
    """Return a town in a folder of its own, not yet entered."""
    folder = Path(tempfile.mkdtemp(prefix="rw-figures-"))
    (folder / "trees.py").write_text(TREES)
    return Town(folder, uuid.uuid4().hex, lease_s=lease_s)


@contextmanager
def town(workers: int, lease_s: float = 3.0) -> Iterator[Town]:
    """Yield a town with that many workers, which have joined."""
    with new_town(lease_s) as place:
        place.keep_workers(workers)
        joined(place, workers)
        yield place


def joined(place: Town, workers: int) -> None:
    """Wait until so many workers have joined."""
    wait_until(
        lambda: len(place.client.store.agents.all()) == workers,
        description="the workers have joined", timeout=60,
    )  # fmt: skip


def serve(place: Town, tree: str) -> None:
    """Deploy one of `TREES` as `one`, and wait until it is ready."""
    place.client.submit(f"{place.folder}/trees.py:{tree}", name="one").wait(60)


def table(place: Town) -> list[list[str]]:
    """Return the endpoints of `one` as a mirror of the registry has them."""
    return place.client.registry.table("one").get("one", [])


def ready(place: Town, count: int = 2) -> list[ReplicaRecord]:
    """Wait until so many replicas are ready, also in the mirror."""

    def found() -> list[ReplicaRecord]:
        record = place.client.store.deployments.get("one")
        assert record is not None
        seen = place.client.store.registry.replicas("one", record.current or 1)
        records = [each for each, _ in seen if each.state == "ready"]
        return records if len(records) == count == len(table(place)) else []

    return wait_until(found, description="all replicas are ready", timeout=90)
