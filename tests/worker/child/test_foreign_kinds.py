"""Servers of several kinds as commands: node, ASGI, one that forks workers."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.request import urlopen

import psutil
import pytest

from rootward.modules import CommandModule
from rootward.worker.child.listeners import is_taken
from tests.support.hosted import TIMEOUT_S, Owner
from tests.support.leaks import is_alive
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.hosted import Heard

NODE = """
require("http").createServer((request, answer) => answer.end("from node"))
  .listen(process.env.PORT, process.env.HOST)
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"from asgi"})
"""
# As gunicorn and uwsgi do: the children inherit the socket, and outlive a killed parent.
PREFORK = """
import os, socket, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"from fork")

server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
for _ in range(2):
    if os.fork() == 0:
        server.serve_forever()
os.wait()
"""


async def served(owner: Owner, module: CommandModule) -> tuple[Heard, int]:
    heard, _ = owner.replica(await owner.load(module), "served")
    while (message := await heard.next())["event"] == "waiting":
        pass
    assert message["event"] == "ready", message
    return heard, message["port"]


def page(port: int) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}/", timeout=TIMEOUT_S) as answer:
        body: bytes = answer.read()
    return body


async def ends_in_order(owner: Owner, module: CommandModule, said: bytes) -> None:
    heard, port = await served(owner, module)
    assert await asyncio.to_thread(page, port) == said
    heard.child.send({"op": "drain", "grace": 60})
    assert await heard.ended() == 0
    assert not is_taken("127.0.0.1", port)


@pytest.mark.skipif(shutil.which("node") is None, reason="node isn't installed")
def test_a_node_program() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            module = CommandModule(["node", "-e", NODE], name="served")
            await ends_in_order(owner, module, b"from node")

    asyncio.run(scenario())


@pytest.mark.skipif(find_spec("uvicorn") is None, reason="uvicorn isn't installed")
def test_an_asgi_application(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "asgi.py").write_text(ASGI)
        command = [sys.executable, "-m", "uvicorn", "asgi:app", "--port", "{port}"]
        async with Owner() as owner:
            module = CommandModule(command, name="served", cwd=tmp_path)
            await ends_in_order(owner, module, b"from asgi")

    asyncio.run(scenario())


def test_one_that_forks_workers_leaves_none_of_them_and_its_port() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            module = CommandModule([sys.executable, "-c", PREFORK, "{port}"], name="served")
            await ends_in_order(owner, module, b"from fork")
            heard, port = await served(owner, module)
            keeper = psutil.Process(heard.child.pid)
            # Its first worker may answer before the second one is there.
            wait_until(
                lambda: len(keeper.children(recursive=True)) == 3,
                description="the server and both of its workers run",
            )
            family = keeper.children(recursive=True)
            [parent] = keeper.children()
            os.kill(parent.pid, signal.SIGKILL)
            # When the end is told, the next one can have the port already.
            assert await heard.ended() == 1 << 8
            assert not is_taken("127.0.0.1", port)
            wait_until(
                lambda: not any(map(is_alive, family)),
                description="none of its workers is left",
            )

    asyncio.run(scenario())
