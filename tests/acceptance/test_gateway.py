"""The gateway as a process, before real workers: what dies behind it costs time and no call."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.support.programs import Program, rootward, run
from tests.support.tap import Tap
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Network

APP = """
import os
from modules import ModuleBase, ServerModule

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


@pytest.fixture
def served(network: Network) -> Iterator[Gateway]:
    """A gateway in front of a deployment of `APP`."""
    (network.folder / "app.py").write_text(APP)
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


def test_killing_the_only_replica_under_load_fails_no_call(served: Gateway) -> None:
    with Load(served) as load:
        for _ in range(3):
            pid = served.result("app/who", 1)[0]
            os.kill(pid, signal.SIGKILL)
            load.go_on(40)
            assert served.result("app/who", 1)[0] != pid
    assert load.failures == []


def test_a_newer_generation_takes_over_without_a_failed_call(
    served: Gateway, network: Network
) -> None:
    with Load(served, callers=2) as load:
        before = served.result("app/who", 1)[0]
        again = run(
            rootward("deploy", "app.py:tree"), folder=network.folder, environ=network.environ
        )
        assert again.process.returncode == 0, again.report()
        wait_until(
            lambda: served.result("app/who", 1)[0] != before,
            description="the newer generation answers",
        )
        load.go_on(40)
    assert load.failures == []


def health(served: Gateway) -> dict[str, Any]:
    status, body = served.ask("/healthz")
    assert status == 200
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_redis_away_for_longer_than_a_lease_fails_no_call(
    served: Gateway, network: Network
) -> None:
    """Away for the gateway: the workers' own leases are other tests' concern."""
    tap = Tap(network.url)
    try:
        with gateway(network, url=tap.url) as program:
            through = opened(program, network.folder)
            with Load(through, callers=2) as load:
                tap.close()
                wait_until(
                    lambda: (health(through)["stale_s"] or 0) > 12,
                    description="the gateway knows that Redis is away",
                    timeout=40,
                )
                with urlopen(
                    Request(through.url + "/services/app/who/call", b"{}"), timeout=10
                ) as answer:
                    assert int(answer.headers["x-rootward-stale"]) >= 11
                assert json.loads(through.ask("/api/services")[1])
                load.go_on(20)
                tap.is_open = True
                wait_until(
                    lambda: health(through)["registry"] == "followed",
                    description="the gateway follows the registry again",
                    timeout=20,
                )
                pid = through.result("app/who", 1)[0]
                os.kill(pid, signal.SIGKILL)
                load.go_on(20)
            assert load.failures == []
    finally:
        tap.end()


def test_ten_thousand_hostile_requests_leave_it_serving(served: Gateway) -> None:
    host = b"Host: localhost\r\n"
    pieces = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET http://169.254.169.254/ HTTP/1.1\r\n" + host + b"\r\n",
        b"POST /services/app/who/call HTTP/1.1\r\n" + host + b"Content-Length: -1\r\n\r\n",
        b"POST /services/app/who/call HTTP/1.1\r\n" + host + b"Content-Length: 9\r\n",
        b"POST /services/app/who/call HTTP/1.1\r\n" + host + b"Content-Length: 7\r\n\r\n[[[[[[[",
        b"GET /services/" + b"a/" * 4000 + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /services/%2e%2e/%00 HTTP/1.1\r\n" + host + b"\r\n",
        b"POST /api/deployments/app/stop HTTP/1.1\r\n" + host + b"Content-Length: 2\r\n\r\n{}",
        b"GET /api/deployments/%0d%0aX:y HTTP/1.1\r\n" + host + b"\r\n",
        b"\0" * 100,
        b"GET /healthz HTTP/1.1\r\n" + host + b"\r\n" + b"GARBAGE\r\n\r\n",
    ]
    for number in range(10_000):
        piece = pieces[number % len(pieces)]
        try:
            with socket.create_connection(("127.0.0.1", served.port), timeout=10) as caller:
                caller.sendall(piece[: len(piece) - number % 3])
                if number % 10 == 0:
                    caller.shutdown(socket.SHUT_WR)
                    caller.recv(4096)
        except ConnectionError:
            # Being cut off is an answer too.
            continue
    assert served.result("app/who", 5)[1] == 5
    assert served.program.is_running
    assert "Traceback" not in served.program.stderr


def test_everything_that_a_caller_may_ask(served: Gateway, network: Network) -> None:
    assert served.result("app/who", 3)[1] == 3
    status, body = served.ask("/services/app/count", 3, Accept="text/event-stream")
    assert (status, body) == (200, b"data: 0\n\ndata: 1\n\ndata: 2\n\nevent: end\ndata: {}\n\n")
    document = json.loads(served.ask("/services/app/who/openapi.json")[1])
    call = document["paths"]["/call"]["post"]
    assert call["x-signature"] == "forward(x: int = 0) -> list"
    assert call["description"] == "Tell who answers, and what was sent."
    for page in ("/", "/services/app/who/docs", "/gateway.js", "/gateway.css", "/service.js"):
        assert served.ask(page)[0] == 200
    assert [each["service"] for each in json.loads(served.ask("/api/services")[1])] == [
        "app/who",
        "app/count",
    ]
    assert json.loads(served.ask("/api/deployments")[1])[0]["deployment"] == "app"
    assert json.loads(served.ask("/api/deployments/app")[1])["state"] == "ready"
    assert len(json.loads(served.ask("/api/workers")[1])) == 1
    assert served.ask("/api/deployments/ap")[0] == 404
    assert (
        b'rootward_gateway_calls_total{service="app/who",class="2xx"}' in served.ask("/metrics")[1]
    )
    metrics = served.ask("/metrics")[1].decode()
    assert 'rootward_tasks{deployment="app",generation="1",kind="deploy",state="succeeded"} 2' in (
        metrics
    )
    assert (
        'rootward_service_replicas_ready{deployment="app",generation="1",service="app/who"} 1'
        in (metrics)
    )
    with urlopen(f"{served.url}/api/deployments/app/events", timeout=20) as stream:
        lines = [stream.readline() for _ in range(10)]
    assert any(b'"event": "submitted"' in line for line in lines)
    assert served.token not in served.program.stderr
    assert b"listens at" in served.program.stderr.encode()


def test_changes_need_the_token_and_json(served: Gateway, network: Network) -> None:
    path, known = "/api/deployments/app/scale", {"Authorization": f"Bearer {served.token}"}
    scale = {"service": "app/who", "replicas": 2}
    assert served.ask(path, scale)[0] == 401
    assert served.ask(path, scale, **known, Content_Type="text/plain")[0] == 400
    assert served.ask(path, {"service": "app/who"}, **known)[0] == 400
    assert served.ask(path, {"service": "app/whom", "replicas": 2}, **known)[0] == 404
    assert served.ask(path, scale, **known)[0] == 202
    wait_until(
        lambda: len({served.result("app/who", 1)[0] for _ in range(20)}) == 2,
        description="both replicas get calls",
        timeout=20,
    )


def test_sigterm_lets_calls_end(served: Gateway) -> None:
    with Load(served, callers=2) as load:
        pass
    assert load.failures == []
    assert served.program.stop() == 0
    assert "Traceback" not in served.program.stderr


def test_off_loopback_everything_needs_the_token(served: Gateway, network: Network) -> None:
    with Program(
        rootward(
            *("gateway", "serve", "--host", "0.0.0.0", "--port", "0"),
            *("--token-file", str(network.folder / "token")),
        ),
        folder=network.folder,
        environ=network.environ,
        name="open",
    ) as program:
        shown = opened(program, network.folder)
        far = Gateway(program, f"http://127.0.0.1:{shown.port}", network.folder / "token")
        known = {"Authorization": f"Bearer {far.token}"}
        assert far.ask("/services/app/who/call", {"args": [1]})[0] == 401
        assert far.ask("/api/services")[0] == 401
        assert far.ask("/healthz")[0] == 200
        assert far.ask("/services/app/who/call", {"args": [1]}, **known)[0] == 200
