"""What a user does wrong is told clearly, with the right exit code, and leaves nothing behind."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from rootward import orchestrator
from rootward.orchestrator.store.records import AgentInfo
from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Network

HEAD = """
import sys, threading, warnings
from rootward import ModuleBase, ServerModule
class Part(ModuleBase):
    def forward(self, x):
        return x
"""

FOREIGN = "another secret, which the worker does not have at all"

BAD = {
    "an import that fails": ("import nowhere_at_all", "nowhere_at_all"),
    "no such attribute": ("three = Part()", "did you mean three?"),
    "no module": ("tree = 3", "not a module"),
    "a cycle": (
        "a, b = Part(name='a'), Part(name='b')\na.b, b.a = b, a\ntree = a",
        "circle: Part 'a' -> Part 'b' -> Part 'a'",
    ),
    "a getter that returns something else": (
        "class Getter(Part):\n    def _get_train_tasks(self):\n        return 3\ntree = Getter()",
        "_get_train_tasks() returned 3",
    ),
    "update() while it is imported": ("tree = Part()\ntree.update()", "__main__"),
    "what can't travel": (
        "tree = Part()\ntree.lock = threading.Lock()",
        "its attribute lock can't travel",
    ),
    "sys.exit() while it is imported": ("tree = Part()\nsys.exit(0)", "sys.exit(0)"),
}


def deploy(network: Network, body: str, *options: str, file: str = "bad.py") -> Program:
    """Deploy a file of the user's and return the ended program."""
    (network.folder / file).write_text(HEAD + body)
    return run(
        rootward("deploy", f"{file}:tree", *options),
        folder=network.folder, environ=network.environ, timeout=50,
    )  # fmt: skip


def keys_of(network: Network) -> list[str]:
    with Redis.from_url(network.url) as server:
        return [key.decode() for key in server.scan_iter(f"*{network.prefix}*", count=1000)]


@pytest.mark.parametrize(("body", "message"), BAD.values(), ids=BAD)
def test_a_bad_tree_is_told_and_nothing_is_stored(
    network: Network, body: str, message: str
) -> None:
    program = deploy(network, body)
    assert program.process.returncode == 2, program.report()
    assert message in program.stderr
    assert program.stdout == ""
    assert "Traceback" not in program.stderr
    assert keys_of(network) == []


def test_what_cannot_travel_says_how_to_go_by_reference(network: Network) -> None:
    assert "package.module:attribute" in deploy(network, BAD["what can't travel"][0]).stderr


def test_no_redis_is_told_at_once_without_its_password(tmp_path: Path) -> None:
    started = time.monotonic()
    program = run(
        rootward("status", "anything"),
        folder=tmp_path, environ={"REDIS_URL": "redis://me:hidden@127.0.0.1:1/0"},
    )  # fmt: skip
    assert program.process.returncode == 3
    assert "127.0.0.1:1" in program.stderr
    assert "hidden" not in program.stderr
    # Generous, as machines of tests are slow; what would fail is a client that retries for seconds.
    assert time.monotonic() - started < 10


def test_an_import_that_prints_and_warns_leaves_standard_output_to_the_data(
    network: Network,
) -> None:
    (network.folder / "loud.py").write_text(
        HEAD + "print('loud')\nwarnings.warn('careful')\ntree = ServerModule(Part())"
    )
    program = run(
        rootward("plan", "loud.py:tree", "--json"), folder=network.folder, environ=network.environ
    )
    assert json.loads(program.stdout)["deployment"] == "loud"
    assert "loud" in program.stderr


def test_a_task_signed_with_another_secret_fails_and_names_the_setting(network: Network) -> None:
    """Submitted before any worker lives, so that nobody can tell yet."""
    workers, network.secret = network.secret, FOREIGN
    program = deploy(network, "tree = ServerModule(Part(), name='foreign')", "--detach")
    assert program.process.returncode == 0, program.report()
    network.secret = workers
    network.worker()
    with orchestrator.connect(network.url, secret=FOREIGN, prefix=network.prefix) as client:
        deployment = client.deployment("foreign")
        with pytest.raises(orchestrator.DeploymentFailed, match="set the same ROOTWARD_SECRET"):
            deployment.wait(30)


def test_another_secret_than_that_of_live_workers_is_refused(network: Network) -> None:
    worker = network.worker()
    wait_until(lambda: "takes tasks" in worker.stderr, description="the worker has joined")
    network.secret = FOREIGN
    program = deploy(network, "tree = ServerModule(Part(), name='foreign')")
    assert program.process.returncode == 2, program.report()
    assert "set the same ROOTWARD_SECRET" in program.stderr
    assert not [key for key in keys_of(network) if "foreign" in key]


def test_a_worker_with_other_code_refuses_to_deploy_something_else(network: Network) -> None:
    """By reference, with the file changed between the submit and the worker's start."""
    body = "tree = ServerModule(Part(), name='coded')"
    (network.folder / "coded.py").write_text(HEAD + body)
    program = run(
        rootward("deploy", "coded:tree", "--by-reference", "--no-bundle", "--detach"),
        folder=network.folder, environ=network.environ,
    )  # fmt: skip
    assert program.process.returncode == 0, program.report()
    with (network.folder / "coded.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    network.worker()
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        with pytest.raises(orchestrator.DeploymentFailed) as caught:
            client.deployment("coded").wait(timeout=40)
        assert "CodeMismatch" in str(caught.value)
        assert "coded:tree" in str(caught.value)


def test_a_worker_of_another_protocol_takes_nothing_and_whoever_waits_is_told(
    network: Network,
) -> None:
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        other = AgentInfo(id="old-1", worker="old", queues=(f"{network.prefix}-v0",))
        client.store.agents.join(other, 60_000)
        deployed = deploy(network, "tree = ServerModule(Part(), name='versioned')", "--detach")
        assert deployed.process.returncode == 0, deployed.report()
        deployment = client.deployment("versioned")
        reason = deployment.status().reason or ""
        assert "speaks protocol 2 (old speaks 0)" in reason
        deployment.cancel()
        client.store.agents.leave("old-1")


def test_a_state_over_the_limit_fails_the_task_with_a_way_out(network: Network) -> None:
    network.workers.append(
        Program(
            rootward("worker"), folder=network.folder, name="limited",
            environ={**network.environ, "ROOTWARD_STATE_LIMIT": "1000"},
        )
    )  # fmt: skip
    program = deploy(
        network,
        "class Big(Part):\n"
        "    def _get_train_tasks(self):\n"
        "        return lambda: setattr(self, 'blob', bytes(2000))\n"
        "tree = Big(name='big')",
    )
    assert program.process.returncode == 1, program.report()
    assert "shared storage" in program.stderr
    assert "train:big" in program.stderr


def test_a_taken_port_fails_the_deploy_at_once(network: Network) -> None:
    import socket

    network.worker()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = deploy(network, f"tree = ServerModule(Part(), name='ported', port={port})")
    assert program.process.returncode == 1, program.report()
    assert f"port {port} of 127.0.0.1 is taken" in program.stderr


FAILING = """
class Task(Part):
    def _get_train_tasks(self):
        return self.train
    def train(self):
        print('reading', self.name)
        if self.name == 'bad':
            raise ValueError('no data')
class Root(Part):
    def __init__(self):
        super().__init__(name='root')
        self.parts = [Task(name='bad'), Task(name='good')]
    def _get_train_tasks(self):
        return lambda: print('never')
    def _get_deploy_tasks(self):
        return lambda: print('never')
tree = Root()
"""


def test_a_failed_task_is_explained_and_what_is_independent_still_runs(network: Network) -> None:
    worker = network.worker("--name", "wilma")
    program = deploy(network, FAILING)
    assert program.process.returncode == 1, program.report() + worker.report()
    for told in ("train:root/bad", "wilma", "attempt 1", "ValueError: no data", "reading bad"):
        assert told in program.stderr, told
    status = run(
        rootward("status", "root", "--json"), folder=network.folder, environ=network.environ
    )
    assert status.process.returncode == 0
    document = json.loads(status.stdout)
    states = {task["id"]: task["state"] for task in document["tasks"] if task["kind"] != "join"}
    assert states == {
        "train:root/bad": "failed",
        "train:root/good": "succeeded",
        "train:root": "skipped",
        "deploy:root": "skipped",
    }
    [error] = [task["error"] for task in document["tasks"] if task["error"]]
    assert error == {"type": "ValueError", "message": "no data"}


def test_a_replica_that_never_gets_ready_fails_after_its_time_and_is_gone(
    network: Network,
) -> None:
    network.worker()
    pid_file = network.folder / "pid"
    program = deploy(
        network,
        "import os, time\n"
        "class Never(Part):\n"
        "    def setup(self):\n"
        f"        open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
        "        print('loading for ever', flush=True)\n"
        "        time.sleep(600)\n"
        "tree = ServerModule(Never(), name='never', startup_timeout=2)",
    )
    assert program.process.returncode == 1, program.report()
    for told in ("startup_timeout of 2 s", "loading for ever", "deploy:never"):
        assert told in program.stderr, told
    import psutil

    wait_until(
        lambda: not psutil.pid_exists(int(pid_file.read_text())),
        description="the replica's process is gone",
    )
