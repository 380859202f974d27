"""The joints at which distributed deployments come apart, each tried with real processes.

Each test runs a user's program (or the command line) against a server with workers, and looks at
what the user would see: the lines it prints, the tree that it is left with, what services answer.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rootward import orchestrator
from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

ENSEMBLE = """
from rootward import ModuleBase, ServerModule

class Member(ModuleBase):
    def __init__(self, name, score):
        super().__init__(name=name)
        self.score = score
    def _get_train_tasks(self):
        return self.train
    def train(self):
        self.score += 10
    def forward(self, x):
        return [self.name, self.score, x]

class Ensemble(ModuleBase):
    def __init__(self):
        super().__init__(name='ensemble')
        self.members = [Member('a', 1), Member('b', 2)]
        self.best = None
    def _get_train_tasks(self):
        return self.choose
    def choose(self):
        self.best = max(self.members, key=lambda member: member.score)
        self.best.chosen = True
    def _get_eval_tasks(self):
        return self.check
    def check(self):
        self.eval_result = self.best is self.members[1] and self.best.chosen
    def forward(self, x):
        return [self.best is self.members[1], self.best(x)]
"""


def script(network: Network, body: str, name: str = "program.py") -> Program:
    """Run a user's program to its end; it must succeed."""
    (network.folder / name).write_text(body)
    program = run(
        [sys.executable, name], folder=network.folder, environ=network.environ, timeout=50
    )
    assert program.process.returncode == 0, program.report()
    return program


def command(network: Network, *arguments: str, expect: int = 0) -> Program:
    """Run a `rootward` command to its end."""
    program = run(rootward(*arguments), folder=network.folder, environ=network.environ, timeout=50)
    assert program.process.returncode == expect, program.report()
    return program


def output(program: Program) -> Any:
    return json.loads(program.stdout)


def test_an_alias_is_the_same_object_in_a_later_task_in_a_replica_and_in_the_callers_tree(
    network: Network,
) -> None:
    network.worker()
    network.worker()
    program = script(
        network,
        ENSEMBLE
        + """
tree = Ensemble()
served = ServerModule(tree, name='served')
served.update()
print(tree.best is tree.members[1], [member.score for member in tree.members])
print(tree.eval_result)
print(served(7))
print(tree(8))
""",
    )
    assert program.stdout.splitlines() == [
        "True [11, 12]",
        "True",
        "[True, ['b', 12, 7]]",
        "[True, ['b', 12, 8]]",
    ], program.report()


APP = """
from rootward import ModuleBase, ServerModule
class Part(ModuleBase):
    def forward(self, x):
        return {answer!r}
tree = ServerModule(Part(), name='app')
"""


def test_edited_code_is_deployed_without_restarting_the_workers(network: Network) -> None:
    """By reference, the worst case: the workers import the file themselves."""
    app = network.folder / "app.py"
    network.worker("--slots", "2")
    for answer in ("first", "second"):
        app.write_text(APP.format(answer=answer))
        command(network, "deploy", "app:tree")
        assert output(command(network, "gateway", "call", "app", "1")) == answer
    command(network, "stop", "app")


SLOW_CHILD = """
import os, time
from rootward import ModuleBase, ServerModule

class Child(ModuleBase):
    def _get_deploy_tasks(self):
        return self.deploy
    def deploy(self):
        while not os.path.exists({gate!r}):
            time.sleep(0.02)

class Parent(ModuleBase):
    def __init__(self):
        super().__init__()
        self.child = Child()
    def forward(self, x):
        return x + 1

tree = ServerModule(Parent(), name='slow')
"""


def test_a_worker_killed_between_prepare_and_deploy_costs_time_only(network: Network) -> None:
    gate = network.folder / "gate"
    (network.folder / "slow.py").write_text(SLOW_CHILD.format(gate=str(gate)))
    environ = {**network.environ, "ROOTWARD_LEASE_SECONDS": "2"}
    with (
        Program(
            rootward("worker", "--name", "first"),
            folder=network.folder, environ=environ, name="first",
        ) as first,
        orchestrator.connect(
            network.url, secret=network.secret, prefix=network.prefix
        ) as client,
    ):  # fmt: skip
        deployment = client.submit(str(network.folder / "slow.py") + ":tree")

        def prepared() -> bool:
            states = {task.id: str(task.state) for task in deployment.status().tasks}
            return states["prepare:slow"] == "succeeded" and states["deploy:slow"] == "waiting"

        wait_until(prepared, description="the replica is prepared and its deploy still waits")
        first.stop(signal.SIGKILL)
        with Program(
            rootward("worker", "--name", "second"),
            folder=network.folder, environ=environ, name="second",
        ):  # fmt: skip
            gate.touch()
            deployment.wait(timeout=40)
            assert client.gateway.call("slow", 1) == 2
            [service] = client.gateway.services()
            assert [endpoint.worker for endpoint in service.endpoints] == ["second"]
            deployment.stop().wait_stopped(timeout=20)


COUNTER = """
from rootward import ModuleBase, ServerModule

class Counter(ModuleBase):
    def __init__(self):
        super().__init__(name='inner')
        self.rounds = 0
        self.evalset([1, 2])
    def _get_train_tasks(self):
        return self.train
    def train(self):
        self.rounds += 1
    def forward(self, x):
        return x + 100 * self.rounds

class Root(ModuleBase):
    def __init__(self):
        super().__init__(name='counter')
        self.served = ServerModule(Counter(), name='served')
        self.evalset([3])
    def forward(self, x):
        return self.served(x)

tree = Root()
"""


def test_train_only_and_eval_only_submissions_leave_the_running_generation_alone(
    network: Network,
) -> None:
    (network.folder / "counter.py").write_text(COUNTER)
    network.worker()
    command(network, "deploy", "counter.py:tree", "--kinds", "train,deploy")
    before = output(command(network, "gateway", "list", "--json"))

    command(network, "deploy", "counter.py:tree", "--kinds", "train")
    # Its calls go to the current generation, which was trained: 3 + 100.
    command(network, "deploy", "counter.py:tree", "--kinds", "eval")
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        record = client.store.deployments.get("counter")
        assert record is not None
        assert (record.latest, record.current) == (3, 1)

    after = output(command(network, "gateway", "list", "--json"))
    assert [e["replica"] for s in after for e in s["endpoints"]] == [
        e["replica"] for s in before for e in s["endpoints"]
    ]
    assert output(command(network, "gateway", "call", "counter/served", "1")) == 101
    command(network, "stop", "counter")


def test_two_programs_with_trees_of_the_same_name_do_not_meet(network: Network) -> None:
    network.worker()
    network.worker()
    body = """
from rootward import ModuleBase, ServerModule
class Named(ModuleBase):
    def __init__(self, answer):
        super().__init__(name='same')
        self.answer = answer
    def forward(self, x):
        return [self.answer, x]
served = ServerModule(Named({answer!r}), name='same')
served.update()
print([served(index) for index in range(3)])
"""
    programs = []
    for answer in ("one", "two"):
        (network.folder / f"{answer}.py").write_text(body.format(answer=answer))
        programs.append(
            Program(
                [sys.executable, f"{answer}.py"],
                folder=network.folder, environ=network.environ, name=answer,
            )
        )  # fmt: skip
    for answer, program in zip(("one", "two"), programs, strict=True):
        with program:
            assert program.wait(50) == 0, program.report()
            assert program.stdout == f"{[[answer, index] for index in range(3)]}\n"


def test_numpy_values_pass_through_served_calls_and_states(network: Network) -> None:
    network.worker()
    program = script(
        network,
        """
import numpy as np
from rootward import ModuleBase, ServerModule

class Scale(ModuleBase):
    def _get_train_tasks(self):
        return self.train
    def train(self):
        self.weights = np.arange(3, dtype=np.float32)
    def forward(self, x, *, offset=0):
        return {'y': x * self.weights + offset, 'kind': x.dtype}

served = ServerModule(Scale(), name='scale')
served.update()
answer = served(np.ones(3, dtype=np.float64), offset=np.int64(2))
print(answer['y'].tolist(), answer['kind'], type(answer['y']).__name__)
print(served.submodules[0].weights.dtype)
""",
    )
    assert program.stdout.splitlines() == ["[2.0, 3.0, 4.0] float64 ndarray", "float32"]


def test_what_a_program_deployed_ends_with_it_even_when_it_is_killed(network: Network) -> None:
    environ = {**network.environ, "ROOTWARD_LEASE_SECONDS": "2"}
    worker = Program(rootward("worker"), folder=network.folder, environ=environ, name="leased")
    network.workers.append(worker)
    body = """
import time
from rootward import ServerModule
served = ServerModule(lambda x: x, name='owned')
served.start()
print('ready', flush=True)
time.sleep(600)
"""
    Path(network.folder / "owner.py").write_text(body)
    with (
        Program(
            [sys.executable, "owner.py"], folder=network.folder, environ=environ, name="owner"
        ) as owner,
        orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client,
    ):
        wait_until(lambda: "ready" in owner.stdout, description="it serves", timeout=40)
        assert len(client.gateway.services()) == 1
        owner.stop(signal.SIGKILL)
        wait_until(
            lambda: client.gateway.services() == [],
            description="its services are withdrawn when its lease is over",
            timeout=30,
        )
