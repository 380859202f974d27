"""The gateway as a process, before real workers: what dies behind it costs time and no call."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.support.gateways import Gateway, Load, opened, serving
from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network


@pytest.fixture
def served(network: Network) -> Iterator[Gateway]:
    """A gateway in front of a deployment."""
    with serving(network) as gateway:
        yield gateway


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
    for page in ("/", "/services/app/who/docs", "/assets/js/main.js", "/assets/css/base.css"):
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
        b'rootward_gateway_calls_total{class="2xx",service="app/who"}' in served.ask("/metrics")[1]
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
