"""A gateway as a process in front of real workers, and callers that note every failed call."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Network

APP = """
import os
from rootward import ModuleBase, ServerModule

class Who(ModuleBase):
    def forward(self, x: int = 0) -> list:
        '''Tell who answers, and what was sent.'''
        return [os.getpid(), x]

class Count(ModuleBase):
    def forward(self, n: int):
        yield from range(n)

class Root(ModuleBase):
    def __init__(self):
        super().__init__(name='app')
        self.who = ServerModule(Who())
        self.count = ServerModule(Count())

tree = Root()
"""


class Gateway:
    """A running `rootward gateway serve` and the few things that a test asks of it."""

    def __init__(self, program: Program, url: str, token: Path) -> None:
        self.program, self.url = program, url
        self.token = token.read_text().strip()

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """Return status and body; a body makes it a POST."""
        data = None if body is None else json.dumps(body).encode()
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        try:
            with urlopen(Request(self.url + path, data, headers), timeout=30) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    def result(self, service: str, *args: Any) -> Any:
        status, body = self.ask(f"/services/{service}/call", {"args": args})
        assert status == 200, body
        return json.loads(body)["result"]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


def gateway(network: Network, *options: str, url: str | None = None) -> Program:
    return Program(
        rootward(
            *("gateway", "serve", "--port", "0", "--token-file", str(network.folder / "token")),
            *options,
        ),
        folder=network.folder,
        environ={**network.environ, "REDIS_URL": url or network.url},
        name="gateway",
    )


def opened(program: Program, folder: Path) -> Gateway:
    line = wait_until(
        lambda: next((x for x in program.stderr.splitlines() if "listens at" in x), None),
        description="the gateway listens",
        timeout=20,
    )
    return Gateway(program, line.partition("listens at ")[2].split()[0], folder / "token")


@contextlib.contextmanager
def serving(network: Network, app: str = APP) -> Iterator[Gateway]:
    """Deploy the `tree` of `app`, which is called "app", and open a gateway in front of it."""
    (network.folder / "app.py").write_text(app)
    network.worker()
    deployed = run(
        rootward("deploy", "app.py:tree"), folder=network.folder, environ=network.environ
    )
    assert deployed.process.returncode == 0, deployed.report()
    with gateway(network) as program:
        yield opened(program, network.folder)
    stopped = run(rootward("stop", "app"), folder=network.folder, environ=network.environ)
    assert stopped.process.returncode == 0, stopped.report()


class Load:
    """Callers in threads that call until they are told to stop, and note what went wrong."""

    def __init__(self, served: Gateway, callers: int = 4) -> None:
        self.calls = 0
        self.failures: list[str] = []
        self._served, self._ended = served, threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.go_on(20)
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, calls: int) -> None:
        """Wait until so many more calls have been answered."""
        with self._lock:
            aim = self.calls + calls
        wait_until(
            lambda: self.calls >= aim, description=f"{calls} more calls are answered", timeout=40
        )

    def _call(self) -> None:
        while not self._ended.wait(0.005):
            try:
                status, body = self._served.ask("/services/app/who/call", {"args": [7]})
            except OSError as error:
                status, body = 0, repr(error).encode()
            with self._lock:
                self.calls += 1
                if status != 200:
                    self.failures.append(f"{status} {body!r}")


def health(served: Gateway) -> dict[str, Any]:
    status, body = served.ask("/healthz")
    assert status == 200
    found: dict[str, Any] = json.loads(body)
    return found
