"""The process that keeps a command: ready by its health, ended with it, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import psutil
import pytest

from rootward.modules import CommandModule
from tests.support.hosted import TIMEOUT_S, Owner
from tests.support.leaks import is_alive
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from rootward.modules.processes.forkserver import ReplicaSpec
    from tests.support.hosted import Heard

SERVER = str(Path(__file__).parents[2] / "support" / "foreign_server.py")
COMMAND = [sys.executable, SERVER, "{host}", "{port}"]


def told(port: int, path: str = "/") -> dict[str, Any]:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT_S) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


async def started(
    owner: Owner, command: list[str], **options: Any
) -> tuple[Heard, ReplicaSpec, int]:
    """Return a replica of the command that is ready, its spec and its port."""
    module = CommandModule(command, name="served", health="/health", **options)
    heard, spec = owner.replica(await owner.load(module), "served", replica="r1")
    while (message := await heard.next())["event"] == "waiting":
        pass
    assert message["event"] == "ready", message
    return heard, spec, message["port"]


async def failed(owner: Owner, command: list[str], **options: Any) -> str:
    """Return why a command could not be started."""
    module = CommandModule(command, name="served", **options)
    heard, _ = owner.replica(await owner.load(module), "served", env={"PATH": "/nowhere"})
    while (message := await heard.next())["event"] == "waiting":
        pass
    assert message["event"] == "ending", message
    assert await heard.ended() == 1 << 8
    return str(message["reason"])


def test_items_and_environment_say_where_to_listen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def scenario() -> None:
        monkeypatch.setenv("ROOTWARD_WORKSPACE", str(tmp_path))
        command = [*COMMAND, str(tmp_path), "{replica}", "{workspace}", '{"a": 1}']
        async with Owner() as owner:
            heard, _, port = await started(owner, command)
            answer = told(port)
            workspace = f"{tmp_path}/served/served"
            assert answer["args"][:3] == ["127.0.0.1", str(port), str(tmp_path)]
            assert answer["args"][3:] == ["r1", workspace, '{"a": 1}']
            assert answer["env"] == {"HOST": "127.0.0.1", "PORT": str(port), "COLOUR": None}
            assert f"serves on {port}".encode() in heard.output[1]

    asyncio.run(scenario())


@pytest.mark.parametrize("wrap", [False, True])
def test_a_crash_is_told_with_its_signal(wrap: bool) -> None:
    """Also behind a shell that execs: it is the same process."""

    async def scenario() -> None:
        shell = ["sh", "-c", 'exec "$0" "$@"', *COMMAND]
        async with Owner() as owner:
            heard, _, port = await started(owner, shell if wrap else COMMAND)
            os.kill(told(port)["pid"], signal.SIGKILL)
            assert (await heard.next())["reason"] == "the command was killed by SIGKILL"
            assert await heard.ended() == 1 << 8

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "command",
    [
        COMMAND,
        ["sh", "-c", 'exec "$0" "$@"', *COMMAND],
        # It stays, and so doesn't hear of its keeper's death by the kernel.
        ["sh", "-c", '"$0" "$@"; true', *COMMAND],
        # In a session of its own, and its parent is gone.
        ["sh", "-c", 'setsid "$0" "$@" & sleep 1000', *COMMAND],
    ],
)
def test_nothing_outlives_its_keeper(command: list[str]) -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            heard, _, port = await started(owner, command)
            family = psutil.Process(heard.child.pid).children(recursive=True)
            assert told(port)["pid"] in {each.pid for each in family}
            assert heard.child.pid is not None
            os.kill(heard.child.pid, signal.SIGKILL)
            await heard.ended()
            wait_until(
                lambda: not any(map(is_alive, family)),
                description="nothing of the command is left",
            )

    asyncio.run(scenario())


def test_drain_lets_a_call_end_and_signals_the_group(tmp_path: Path) -> None:
    async def scenario() -> None:
        # Without exec: a signal to the shell alone would never reach the server.
        command = ["sh", "-c", '"$0" "$@"; true', *COMMAND, str(tmp_path)]
        async with Owner() as owner:
            heard, _, port = await started(owner, command)
            call = asyncio.ensure_future(asyncio.to_thread(told, port, "/slow"))
            await asyncio.to_thread(
                wait_until, (tmp_path / "begun").exists, description="the call has begun"
            )
            heard.child.send({"op": "drain", "grace": 60})
            (tmp_path / "gate").touch()
            assert await call == "whole"
            assert await heard.ended() == 0

    asyncio.run(scenario())


def test_deaf_to_its_stop_signal_is_killed() -> None:
    async def scenario() -> None:
        command = [sys.executable, "-c", DEAF, "{port}"]
        async with Owner() as owner:
            heard, _, _ = await started(owner, command, stop_timeout=0.2)
            heard.child.send({"op": "drain", "grace": 60})
            assert await heard.ended() == 0

    asyncio.run(scenario())


DEAF = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

# Lets another program take the port that it was given first, and then tries to listen on it.
LATE = """
import os, sys, time
folder, port = sys.argv[1], sys.argv[3]
try:
    open(folder + "/port", "x").write(port)
except FileExistsError:
    pass
else:
    while not os.path.exists(folder + "/taken"):
        time.sleep(0.01)
os.execv(sys.executable, [sys.executable, *sys.argv[4:], *sys.argv[2:4]])
"""


def test_another_port_is_tried_when_it_was_taken_meanwhile(tmp_path: Path) -> None:
    async def scenario() -> None:
        command = [sys.executable, "-c", LATE, str(tmp_path), "{host}", "{port}", SERVER]
        async with Owner() as owner:
            starting = asyncio.ensure_future(started(owner, command))
            with socket.socket() as thief:
                file = tmp_path / "port"
                await asyncio.to_thread(
                    wait_until, lambda: file.exists() and file.read_text(), description="a port"
                )
                taken = int(file.read_text())
                thief.bind(("127.0.0.1", taken))
                thief.listen()
                (tmp_path / "taken").touch()
                _, _, port = await starting
                assert port != taken
                assert told(port)["env"]["PORT"] == str(port)

    asyncio.run(scenario())


def test_what_cannot_be_started_names_option_and_value(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()

    async def scenario() -> None:
        async with Owner() as owner:
            why = await failed(owner, ["nosuch-program"])
            assert why == ("command[0] 'nosuch-program' isn't found on this worker (PATH=/nowhere)")
            why = await failed(owner, [f"{tmp_path}/plain"])
            assert why == f"command[0] '{tmp_path}/plain' isn't executable"
            why = await failed(owner, [sys.executable], cwd=f"{tmp_path}/none")
            assert why.startswith(f"cwd '{tmp_path}/none' is no folder on this worker")
            why = await failed(owner, [sys.executable, "-c", "raise SystemExit(3)"])
            assert why.startswith("the command exited with code 3 before it was ready: ")

    asyncio.run(scenario())


def test_an_ill_server_is_reported_and_so_is_its_recovery(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            heard, _, _ = await started(owner, [*COMMAND, str(tmp_path)])
            (tmp_path / "sick").touch()
            assert await heard.next() == {
                "event": "health", "failures": 1, "reason": "GET /health: HTTP 500 sick"
            }  # fmt: skip
            (tmp_path / "sick").unlink()
            assert await heard.next() == {"event": "health", "failures": 0, "reason": ""}

    asyncio.run(scenario())
