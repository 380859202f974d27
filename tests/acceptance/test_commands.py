"""Foreign servers as replicas, by the command line: deployed, called, logged, restarted, ended."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rootward import orchestrator
from tests.support.programs import rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from rootward.orchestrator import Client
    from tests.acceptance.conftest import Network

# Many commands one after the other, on machines that have other work.
pytestmark = pytest.mark.timeout(180)

SERVER = str(Path(__file__).parents[1] / "support" / "foreign_server.py")
APP = f"""
import sys
from rootward import CommandModule, ModuleBase, ServerModule

class Llm(CommandModule):
    def __init__(self):
        super().__init__(
            [sys.executable, {SERVER!r}, "{{host}}", "{{port}}", "{{workspace}}"],
            name="llm", health="/health", env={{"COLOUR": "blue"}},
        )
        self.prepared = False

    def _get_train_tasks(self):
        return self.prepare

    def prepare(self):
        import rootward
        (rootward.workspace() / "gate").touch()

    def forward(self, text):
        return self.request("POST", "/v1/say", json={{"text": text}}).json()["body"]

class Agent(ModuleBase):
    def __init__(self):
        super().__init__(name="agent")
        self.llm = Llm()

    def forward(self, text):
        return [self.llm(text), list(self.llm.stream("GET", "/lines"))]

tree = ServerModule(Agent(), name="app")
"""


def connected(network: Network) -> Client:
    return orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix)


def deploy(network: Network, app: str = APP) -> None:
    network.more["ROOTWARD_WORKSPACE"] = str(network.folder / "workspaces")
    (network.folder / "app.py").write_text(app)
    network.worker("--name", "w1")
    done = run(rootward("deploy", "app.py:tree"), folder=network.folder, environ=network.environ)
    assert done.process.returncode == 0, done.report()


def asked(network: Network, *command: str) -> Any:
    done = run(rootward(*command, "--json"), folder=network.folder, environ=network.environ)
    assert done.process.returncode == 0, done.report()
    return json.loads(done.stdout)


def test_a_command_is_a_replica_like_any_other(network: Network) -> None:
    deploy(network)
    result = asked(network, "gateway", "call", "app", '"hello"')
    assert result == ['{"text": "hello"}', ["line 0", "line 1", "line 2"]]
    with connected(network) as client:
        # Called from outside it is posted the one value.
        before = client.gateway.call("app/agent/llm", {"a": 1})
        assert (before["method"], before["path"], before["body"]) == ("POST", "/", '{"a": 1}')
        assert before["env"]["COLOUR"] == "blue"
        [endpoint] = client.gateway.endpoints("app/agent/llm")
        assert endpoint.url == f"http://127.0.0.1:{before['env']['PORT']}"
        os.kill(before["pid"], signal.SIGKILL)
        after = wait_until(
            lambda: next(
                (e for e in client.gateway.endpoints("app/agent/llm") if e.url != endpoint.url),
                None,
            ),
            description="it is back under another address",
            timeout=20,
        )
        assert after.replica == endpoint.replica
        wait_until(
            lambda: client.gateway.endpoints("app/agent/llm")[0].state == "ready",
            description="it is ready again",
            timeout=20,
        )
        assert client.gateway.call("app/agent/llm", 1)["pid"] != before["pid"]
    logs = run(rootward("logs", "app", "agent/llm"), folder=network.folder, environ=network.environ)
    assert f"serves on {before['env']['PORT']}" in logs.stdout
    assert "this replica has ended: the command was killed by SIGKILL" in logs.stdout
    stopped = run(rootward("stop", "app"), folder=network.folder, environ=network.environ)
    assert stopped.process.returncode == 0, stopped.report()


def test_a_killed_worker_takes_the_command_with_it(network: Network) -> None:
    """That nothing is left is what each of these tests ends with."""
    deploy(network)
    [worker] = network.workers
    worker.process.send_signal(signal.SIGKILL)
    worker.process.wait()


MISUSED = {
    "['nosuch-program']": "command[0] 'nosuch-program' isn't found on this worker",
    "[sys.executable, '-c', 'print(\"last words\"); exit(3)']": "exited with code 3 before it was",
    f"[sys.executable, {SERVER!r}, '{{host}}', '{{port}}'], health='/full'": (
        "not ready within its startup_timeout of 2 s: GET /full: HTTP 503"
    ),
}


def test_a_command_that_does_not_start_says_why(network: Network) -> None:
    modules = ", ".join(
        f"CommandModule({given}, startup_timeout=2, name='m{number}')"
        for number, given in enumerate(MISUSED)
    )
    (network.folder / "app.py").write_text(
        f"import sys\nfrom rootward import CommandModule, ActionModule\n"
        f"tree = ActionModule({modules})\n"
    )
    network.worker()
    done = run(rootward("deploy", "app.py:tree"), folder=network.folder, environ=network.environ)
    assert done.process.returncode == 1, done.report()
    told = done.stderr + done.stdout
    for why in MISUSED.values():
        assert why in told, told
    assert "last words" in told
    assert sys.executable in told


HEALTH = """
from pathlib import Path
from rootward import ModuleBase, ServerModule

class Child(ModuleBase):
    def __init__(self, folder):
        super().__init__(name="child")
        self.folder = folder

    def setup(self):
        # What was started anew is well.
        self.number = len(list(Path(self.folder).glob("started-*")))
        (Path(self.folder) / f"started-{self.number}").touch()

    def health(self):
        if self.number == 0 and (Path(self.folder) / "dead").exists():
            raise RuntimeError("my child has died")

    def forward(self, x):
        return self.number

tree = ServerModule(Child(FOLDER), name="app")
"""


def test_health_of_user_code_withdraws_and_restarts(network: Network) -> None:
    deploy(network, HEALTH.replace("FOLDER", repr(str(network.folder))))
    with connected(network) as client:
        [before] = client.gateway.endpoints("app")
        (network.folder / "dead").touch()
        reason = wait_until(
            lambda: next(
                (e.reason for e in client.gateway.endpoints("app") if e.state == "unready"), None
            ),
            description="it is withdrawn",
            timeout=30,
        )
        assert reason == "health() of app/child raised RuntimeError: my child has died"
        wait_until(
            lambda: (
                client.gateway.endpoints("app")[0].url != before.url
                and client.gateway.endpoints("app")[0].state == "ready"
            ),
            description="it was restarted",
            timeout=60,
        )
        assert client.gateway.call("app", 0) == 1
    logs = run(rootward("logs", "app"), folder=network.folder, environ=network.environ)
    assert "raised RuntimeError: my child has died, 3 times in a row" in logs.stdout
