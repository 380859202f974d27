"""Devices of workers: given without overlap, named to the process before the user's code runs."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from rootward.orchestrator import connect
from rootward.orchestrator.status.documents import device_holders
from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.orchestrator.client.client import Client
    from tests.acceptance.conftest import Network

# Many commands one after the other, on machines that have other work.
pytestmark = pytest.mark.timeout(180)

PATIENCE_S = 40.0
APP = """
import os, time
from rootward import ModuleBase, ServerModule

# As a library does that looks for its devices when it is imported.
IMPORTED = os.environ.get("CUDA_VISIBLE_DEVICES")

def devices():
    return [os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("ROOTWARD_RESOURCE_GPU")]

class Model(ModuleBase):
    def setup(self):
        self.at_setup = devices()
    def forward(self, x=None):
        return {"now": devices(), "setup": self.at_setup, "import": IMPORTED, "pid": os.getpid()}

class Trained(ModuleBase):
    task_resources = {"train": {"gpu": 2}, "eval": {"disk": 0.5}}
    def _get_train_tasks(self):
        def train():
            self.trained = [*devices(), IMPORTED]
        return train
    def _get_eval_tasks(self):
        return lambda: print("evaluated")
    def forward(self):
        return self.trained

class Root(ModuleBase):
    def __init__(self):
        super().__init__(name="app")
        self.trained = Trained()
        self.told = ServerModule(self.trained)
        self.model = ServerModule(Model(), replicas=2, resources={"gpu": 1})

tree = Root()

class Greedy(ModuleBase):
    task_resources = {"train": {"gpu": 5}}
    def _get_train_tasks(self):
        return lambda: None

greedy = Greedy(name="greedy")

class Held(ModuleBase):
    task_resources = {"eval": {"gpu": 0.5}}
    def __init__(self):
        super().__init__(name="held")
        self.model = ServerModule(Model(), resources={"gpu": 2})
    def _get_eval_tasks(self):
        return lambda: None

held = Held()

class First(ModuleBase):
    def _get_train_tasks(self):
        def train():
            while not os.path.exists(os.environ["GATE"]):
                time.sleep(0.05)
        return train

class Late(ModuleBase):
    task_resources = {"train": {"gpu": 2}}
    def __init__(self):
        super().__init__(name="late")
        self.first = First()
        self.model = ServerModule(Model(), resources={"gpu": 1})
    def _get_train_tasks(self):
        return lambda: None

late = Late()
"""


@pytest.fixture
def app(network: Network) -> str:
    (network.folder / "app.py").write_text(APP)
    return "app.py"


def printed(network: Network, *command: str) -> Any:
    program = run(rootward(*command), folder=network.folder, environ=network.environ)
    assert program.process.returncode == 0, program.report()
    return json.loads(program.stdout)


@pytest.fixture
def client(network: Network) -> Iterator[Client]:
    with connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        yield client


def devices_of(client: Client) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for worker in client.workers():
        found.update(device_holders(worker.info)["gpu"])
    return found


def answers(client: Client, count: int) -> dict[str, dict[str, Any]]:
    """Return an answer of each replica, by the device that it says it has."""
    found: dict[str, dict[str, Any]] = {}

    def are_there() -> bool:
        answer = client.gateway.call("app/model", 1)
        found[answer["now"][0]] = answer
        return len(found) == count

    wait_until(are_there, description="each replica has answered", timeout=PATIENCE_S)
    return found


def test_each_replica_and_task_has_devices_of_its_own(
    network: Network, client: Client, app: str
) -> None:
    network.worker("--resource", "gpu=0,3", "--resource", "disk=1.5")
    deployed = run(
        rootward("deploy", f"{app}:tree"), folder=network.folder, environ=network.environ
    )
    assert deployed.process.returncode == 0, deployed.report()
    assert client.gateway.call("app/told") == ["0,3", "0,3", "0,3"]
    for device, answer in answers(client, 2).items():
        assert answer["now"] == answer["setup"] == [device, device]
        assert answer["import"] == device
    (worker,) = printed(network, "workers", "--json")
    held = worker["devices"]["gpu"]
    assert list(held) == ["0", "3"]
    assert [len(holders) for holders in held.values()] == [1, 1]
    assert {holders[0]["module"] for holders in held.values()} == {"app/model"}
    assert len({holders[0]["replica"] for holders in held.values()}) == 2
    told = run(rootward("workers"), folder=network.folder, environ=network.environ)
    assert "gpu 0: app/model@1; 3: app/model@1" in told.stdout
    victim = answers(client, 2)["3"]
    os.kill(victim["pid"], signal.SIGKILL)
    wait_until(
        lambda: answers(client, 2)["3"]["pid"] != victim["pid"],
        description="a replica has the device of the killed one",
        timeout=PATIENCE_S,
    )
    stopped = run(rootward("stop", "app"), folder=network.folder, environ=network.environ)
    assert stopped.process.returncode == 0, stopped.report()
    wait_until(
        lambda: not any(devices_of(client).values()),
        description="the devices are free again",
        timeout=PATIENCE_S,
    )


def test_what_no_worker_could_ever_run_is_told(network: Network, app: str) -> None:
    network.worker("--resource", "gpu=2")
    with Program(
        rootward("deploy", f"{app}:greedy"), folder=network.folder, environ=network.environ
    ) as program:
        why = "train:greedy needs gpu=5 and no live worker offers it"
        wait_until(
            lambda: why in program.stderr, description="the reason is told", timeout=PATIENCE_S
        )
        assert why in printed(network, "status", "greedy", "--json")["reason"]
        cancelled = run(
            rootward("cancel", "greedy"), folder=network.folder, environ=network.environ
        )
        assert cancelled.process.returncode == 0
        program.wait(20)


def test_what_waits_for_a_device_that_another_has_is_told(network: Network, app: str) -> None:
    network.worker("--resource", "gpu=2", "--name", "w1")
    with Program(
        rootward("deploy", f"{app}:held"), folder=network.folder, environ=network.environ
    ) as program:
        who = "w1: gpu 0: held/model@1; 1: held/model@1"
        why = f"eval:held waits for gpu=0.5, which is in use ({who})"
        wait_until(
            lambda: why in program.stderr, description="the reason is told", timeout=PATIENCE_S
        )
        cancelled = run(rootward("cancel", "held"), folder=network.folder, environ=network.environ)
        assert cancelled.process.returncode == 0
        program.wait(20)


def test_a_prepared_replica_gives_way_to_a_task(network: Network, client: Client) -> None:
    """The train task waits for what it holds, and its deploy for the train task."""
    (network.folder / "app.py").write_text(APP)
    gate = network.folder / "gate"
    network.more["GATE"] = str(gate)
    network.worker("--resource", "gpu=2")
    with Program(
        rootward("deploy", "app.py:late"), folder=network.folder, environ=network.environ
    ) as program:
        wait_until(
            lambda: any(devices_of(client).values()),
            description="a replica is prepared",
            timeout=PATIENCE_S,
        )
        gate.touch()
        assert program.wait(40) == 0, program.report()
    assert client.gateway.call("late/model", 1)["now"] == ["0", "0"]


@pytest.mark.parametrize(
    ("option", "visible", "words"),
    [
        ("gpu=0,7", "0,1", "there is no device 7: CUDA_VISIBLE_DEVICES lists 0, 1"),
        ("gpu=3", "0,1", "there are not that many: CUDA_VISIBLE_DEVICES lists 2 (0, 1)"),
        ("gpu=1,1", "0,1", "1 is named twice"),
    ],
)
def test_a_device_that_is_not_there_is_an_error(
    network: Network, option: str, visible: str, words: str
) -> None:
    environ = {**network.environ, "CUDA_VISIBLE_DEVICES": visible}
    program = run(rootward("worker", "--resource", option), folder=network.folder, environ=environ)
    assert program.process.returncode == 2
    assert words in program.stderr
