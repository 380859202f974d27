"""The chat example: a foreign server behind an agent, through the gateway, with OpenAI's client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.gateways import gateway, opened
from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network
    from tests.support.gateways import Gateway

ROOT = Path(__file__).parents[2]
CHAT = ROOT / "examples" / "chat"
SERVER = ROOT / "tests" / "support" / "foreign_server.py"
QUESTION = "good morning"


@pytest.fixture
def chat(network: Network) -> Iterator[Gateway]:
    """Deploy it from a folder that its worker knows nothing of, and open a gateway."""
    project = network.folder / "project"
    shutil.copytree(CHAT, project, ignore=shutil.ignore_patterns("__pycache__"))
    network.worker()
    done = run(rootward("deploy", "app.py:tree"), folder=project, environ=network.environ)
    assert done.process.returncode == 0, done.report()
    shutil.rmtree(project)
    with gateway(network) as program:
        yield opened(program, network.folder)
    stopped = run(rootward("stop", "chat"), folder=network.folder, environ=network.environ)
    assert stopped.process.returncode == 0, stopped.report()


def asked(chat: Gateway, folder: Path) -> Program:
    url = f"{chat.url}/services/chat/agent/llm/v1"
    return run([sys.executable, str(CHAT / "ask.py"), url, QUESTION], folder=folder)


def test_chat_streams_to_openais_client_and_from_the_agent(chat: Gateway, network: Network) -> None:
    program = asked(chat, network.folder)
    assert program.process.returncode == 0, program.report()
    assert program.stdout == "You| said:| good| morning||\n"
    called = run(
        rootward("gateway", "call", "chat", f'"{QUESTION}"', "--stream", "--json"),
        folder=network.folder,
        environ=network.environ,
    )
    words = [json.loads(line) for line in called.stdout.splitlines()]
    assert "".join(words) == f"You said: please, {QUESTION}", called.report()


def test_examples_are_short() -> None:
    for file in CHAT.glob("*.py"):
        assert len(file.read_text().splitlines()) < 80


APP = f"""
import sys
from rootward import CommandModule
tree = CommandModule(
    [sys.executable, {str(SERVER)!r}, "{{host}}", "{{port}}", {{folder!r}}],
    name="app", health="/health", replicas=2,
)
"""


@pytest.fixture
def foreign(network: Network) -> Iterator[Gateway]:
    from tests.support.gateways import serving

    with serving(network, APP.replace("{folder!r}", repr(str(network.folder)))) as served:
        yield served


def test_a_foreign_server_through_the_gateway(foreign: Gateway, network: Network) -> None:
    status, body = foreign.ask("/services/app/v1/x?y=z", {"a": 1})
    told = json.loads(body)
    assert (status, told["path"], told["body"]) == (200, "/v1/x?y=z", '{"a": 1}')
    assert told["headers"]["x-forwarded-prefix"] == "/services/app"
    assert foreign.ask("/services/app/full")[0] == 503
    # What it calls moved is below the service.
    status, body = foreign.ask("/services/app/moved")
    assert (status, json.loads(body)["path"]) == (200, "/there")
    # One that is killed costs no GET; the other takes them.
    os.kill(told["pid"], signal.SIGKILL)
    for _ in range(20):
        assert foreign.ask("/services/app/x")[0] == 200


def test_a_stream_and_a_websocket_through_the_gateway(foreign: Gateway, network: Network) -> None:
    with socket.create_connection(("127.0.0.1", foreign.port), 30) as connection:
        connection.sendall(b"GET /services/app/lines HTTP/1.1\r\nHost: localhost\r\n\r\n")
        file = connection.makefile("rb")
        wait_until(lambda: file.readline() == b"line 0\n", description="the first line is there")
        (network.folder / "gate").touch()
        wait_until(lambda: file.readline() == b"line 2\n", description="the last line is there")
        file.close()
    with socket.create_connection(("127.0.0.1", foreign.port), 30) as connection:
        connection.sendall(
            b"GET /services/app/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        file = connection.makefile("rb")
        assert file.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
        wait_until(lambda: file.readline() == b"\r\n", description="the head has ended")
        # A text frame "hi", masked with zeros; a close frame.
        connection.sendall(b"\x81\x82\0\0\0\0hi")
        assert file.read(4) == b"\x81\x02hi"
        connection.sendall(b"\x88\x80\0\0\0\0")
        assert file.read() == b"\x88\x00"
        file.close()
