"""Evaluations in shards over several workers: whole, in order, and through the loss of a worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Network

# Many commands one after the other, on machines that have other work.
pytestmark = pytest.mark.timeout(180)

APP = """
import os
import time
from pathlib import Path

import rootward

LOG = Path(os.environ.get("APP_LOG", "."))


class Slow(rootward.ModuleBase):
    pause = 0.0

    def forward(self, x):
        with open(LOG / f"{os.getpid()}-{os.getppid()}", "a") as file:
            file.write(f"{x}\\n")
        while x >= 150 and not (LOG.parent / "gate").exists():
            time.sleep(0.02)
        time.sleep(self.pause)
        return x * 2


def items():
    yield from range(400)


def whole(results):
    assert len(results) == 400, len(results)
    return results


tree = Slow(name="slow")
tree.evalset(items(), collect_f=whole)

kept = Slow(name="kept")
kept.pause = 0.3
kept.evalset([{"x": x} if x != 399 else {"y": 1} for x in range(400)], on_error="keep",
             collect_f=lambda results: [str(type(r).__name__) for r in results[397:]])

late = Slow(name="late")
late.pause = 0.3
late.evalset([*range(399), None])
"""


def prepared(network: Network) -> Path:
    (network.folder / "app.py").write_text(APP)
    log = network.folder / "log"
    log.mkdir()
    network.more |= {"ROOTWARD_LEASE_SECONDS": "2", "APP_LOG": str(log)}
    return log


def status(network: Network, name: str) -> dict[str, Any]:
    ended = run(rootward("status", name, "--json"), folder=network.folder, environ=network.environ)
    found: dict[str, Any] = json.loads(ended.stdout) if ended.process.returncode == 0 else {}
    return found


def workers_of(log: Path) -> set[str]:
    return {path.name.partition("-")[2] for path in log.iterdir()}


@pytest.mark.parametrize("killed", ["", "its own", "another"])
def test_an_evaluation_is_whole_and_in_order_whichever_worker_is_killed(
    network: Network, killed: str
) -> None:
    log = prepared(network)
    workers = {name: network.worker("--slots", "2", "--name", name) for name in ("w1", "w2")}
    command = rootward("deploy", "app.py:tree", "--name", "slow")
    with Program(command, folder=network.folder, environ=network.environ) as deploy:
        wait_until(lambda: len(workers_of(log)) == 2, description="both compute", timeout=60)
        [task] = status(network, "slow")["tasks"]
        other = next(name for name in workers if name != task["worker"])
        if killed:
            workers[task["worker"] if killed == "its own" else other].process.kill()
        (network.folder / "gate").touch()
        assert deploy.wait(60) == 0, deploy.report()
    found = status(network, "slow")
    [shown], [task] = found["evaluations"], found["tasks"]
    assert shown["result"] == [2 * x for x in range(400)]
    assert (shown["items"], shown["failed"]) == (400, 0)
    assert task["progress"]["done"] == task["progress"]["total"] == 400
    assert task["attempt"] >= (2 if killed == "its own" else 1)
    told = run(rootward("events", "slow"), folder=network.folder, environ=network.environ).stdout
    assert "succeeded on" in told
    assert "whole: [0, 2, 4," in told


def test_an_item_that_fails_is_kept_and_counted(network: Network) -> None:
    log = prepared(network)
    network.worker("--slots", "2")
    (network.folder / "gate").touch()
    command = rootward("deploy", "app.py:kept", "--name", "kept")
    ended = run(command, folder=network.folder, environ=network.environ, timeout=120)
    assert ended.process.returncode == 0, ended.report()
    [shown] = status(network, "kept")["evaluations"]
    assert shown["result"] == ["int", "int", "TypeError"]
    assert (shown["items"], shown["failed"]) == (400, 1)
    assert len(list(log.iterdir())) > 1, "it was shared"


def test_the_item_that_fails_in_a_shard_is_named(network: Network) -> None:
    log = prepared(network)
    network.worker("--slots", "2")
    (network.folder / "gate").touch()
    command = rootward("deploy", "app.py:late", "--name", "late")
    ended = run(command, folder=network.folder, environ=network.environ, timeout=120)
    assert ended.process.returncode == 1
    assert "evaluating item 399: None" in ended.stderr
    assert "TypeError" in ended.stderr
    assert len(list(log.iterdir())) > 1, "it was shared"
