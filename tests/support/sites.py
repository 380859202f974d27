"""A network with a client, and trees to run on it, for tests of workers as processes.

The trees come from a file that is written for each test, as a user's would; `scripted` makes a task
that does what its steps say.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tests.support.programs import Program
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from rootward.orchestrator.client.client import Client
    from rootward.orchestrator.client.deployment import Deployment
    from tests.acceptance.conftest import Network

SOURCE = """
import os, signal, sys, time
from rootward import ModuleBase, ServerModule

class Part(ModuleBase):
    weight = 0
    def _get_train_tasks(self):
        return self.train
    def train(self):
        print('training', self.name)
        self.weight += 3
    def forward(self, x):
        return x * self.weight

class Whole(ModuleBase):
    def __init__(self, *parts):
        super().__init__(name='whole')
        self.parts = list(parts)
    def _get_train_tasks(self):
        return self.train
    def train(self):
        self.total = sum(part.weight for part in self.parts)
    def forward(self, x):
        return sum(part(x) for part in self.parts)

class Scripted(ModuleBase):
    def __init__(self, *steps):
        super().__init__(name='scripted')
        self.steps = steps
    def _get_train_tasks(self):
        return self.act
    def act(self):
        print('first line')
        print('last line')
        for step, *values in self.steps:
            getattr(self, step)(*values)
    def wait_for(self, path):
        open(path + '.begun', 'w').close()
        while not os.path.exists(path):
            time.sleep(0.01)
    def kill(self, number):
        os.kill(os.getpid(), number)
    def leave(self, code):
        os._exit(code)
    def fail_once(self, path):
        if not os.path.exists(path):
            open(path, 'w').close()
            raise KeyError('the first time')
    def fail(self, message):
        raise KeyError(message)

class Server(ModuleBase):
    def __init__(self, how=''):
        super().__init__(name='model')
        self.how = how
    def setup(self):
        print('loading')
        if self.how:
            raise ValueError(self.how)
    def forward(self, x):
        return [x, os.getpid()]

def plain():
    return Whole(Part(name='a'), Part(name='b'))

def served():
    return ServerModule(Server(), name='served')

def broken():
    return ServerModule(Server('no such model'), name='served')
"""


class Site:
    """A network with a client, and the file that its trees come from."""

    def __init__(self, network: Network, client: Client) -> None:
        self.network, self.client = network, client
        self.path = network.folder / "trees.py"
        self.path.write_text(SOURCE)

    def worker(self, *options: str, expect_ready: bool = True, lease: float = 2.0) -> Program:
        number = len(self.network.workers) + 1
        program = Program(
            [sys.executable, "-P", "-m", "rootward.worker", "--name", f"w{number}", *options],
            folder=self.network.folder,
            environ={**self.network.environ, "ROOTWARD_LEASE_SECONDS": str(lease)},
            name=f"worker{number}",
        )
        self.network.workers.append(program)
        if expect_ready:
            wait_until(
                lambda: "takes tasks" in program.stderr,
                description=f"the worker has joined\n{program.report()}",
                timeout=20,
            )
        return program

    def submit(self, attribute: str, name: str, **options: Any) -> Deployment:
        return self.client.submit(f"{self.path}:{attribute}", name=name, **options)

    def scripted(
        self, *steps: tuple[Any, ...], name: str = "scripted", **options: Any
    ) -> Deployment:
        # A file of its own: one that was imported is not read again.
        path = self.path.with_name(f"{name}.py")
        path.write_text(f"{SOURCE}\ntree = Scripted(*{steps!r})\n")
        return self.client.submit(f"{path}:tree", name=name, **options)

    def replica(self, name: str) -> Any:
        """The one ready replica of a deployment, or None."""
        ready = [
            each
            for each, _ in self.client.store.registry.replicas(name, 1)
            if each.state == "ready"
        ]
        return ready[0] if ready else None

    def task(self, name: str) -> Any:
        return self.client.store.tasks.of(name, 1)[0]
