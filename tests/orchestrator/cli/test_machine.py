"""What `up` keeps running: a server and a worker that is started again, but not for ever."""

from __future__ import annotations

import signal
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.cli import machine
from rootward.orchestrator.cli.machine import MAX_RESTARTS, Machine
from rootward.orchestrator.embedded import server
from rootward.orchestrator.embedded.server import NoServer
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDING = ["/bin/sh", "-c", "echo some last words; exit 4"]
STAYING = ["/bin/sh", "-c", "exec sleep 60"]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of this test's runs; the signals that a machine changes are put back."""
    kept = {number: signal.getsignal(number) for number in machine.ENDING_SIGNALS}
    with tempfile.TemporaryDirectory(prefix="rw") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_a_worker_that_keeps_ending_is_given_up(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its last words are told, and the main thread is interrupted instead of waiting for ever."""
    monkeypatch.setattr(machine, "worker_command", lambda **_: ENDING)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Machine.prepare(None, None) as up:

        def run() -> None:
            up.start_worker()
            threading.Event().wait(30)

        with pytest.raises(KeyboardInterrupt):
            run()
        assert up.has_given_up
    told = capsys.readouterr().err
    assert told.count("is started again") == MAX_RESTARTS
    assert "exit code 4" in told
    assert "some last words" in told
    assert list(runs.iterdir()) == []


def test_a_machine_takes_everything_away(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker, server and folder are gone when the `with` ends, whatever state they were in."""
    monkeypatch.setattr(machine, "worker_command", lambda **_: STAYING)
    with Machine.prepare(None, None) as up:
        up.start_worker()
        worker = up._worker
        assert worker is not None
        assert worker.exit_code is None
        assert up.connect().deployments() == []
    assert worker.exit_code is not None
    wait_until(lambda: list(runs.iterdir()) == [], description="nothing is left")


def test_without_a_server_program_nothing_is_left(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that was made for the server goes with the error."""
    monkeypatch.setattr(server, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NoServer):
        Machine.prepare(None, None)
    assert list(runs.iterdir()) == []


def test_a_redis_of_the_users_own_is_used(
    runs: Path, redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server is started then, and a secret is made when none was given."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    with Machine.prepare(None, prefix) as up:
        assert up.settings.redis_url == redis_url
        assert up.settings.secret is not None
        assert len(up.settings.secret) >= 32
        assert up._server is None
    assert list(runs.iterdir()) == []
