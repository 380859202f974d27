"""Work is told from idleness by the kernel's word on each thread, however long nobody answers."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from rootward.modules.processes.effort import Effort
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY = "print(flush=True)\nwhile True: pass"
ASLEEP = "import time; print(flush=True); time.sleep(1000)"
# One thread sleeps with the interpreter's lock, and many others ask for it again and again.
DEAD_LOCKED = """
import ctypes, threading, time
for _ in range(24):
    threading.Thread(target=time.sleep, args=(0.2,), daemon=True).start()
print(flush=True)
ctypes.PyDLL(None).sleep(1000)
"""


@contextlib.contextmanager
def running(code: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def looks(effort: Effort, pid: int, count: int) -> list[bool]:
    """Look so many times, a quarter of a second apart."""
    found: list[bool] = []
    for _ in range(count):
        until = time.monotonic() + 0.25
        wait_until(lambda until=until: time.monotonic() > until, description="time has passed")  # type: ignore[misc]
        found.append(effort.has_worked(pid))
    return found


def test_a_busy_process_works_whatever_it_answers() -> None:
    with running(BUSY) as process:
        effort = Effort()
        looks(effort, process.pid, 1)
        assert all(looks(effort, process.pid, 4))


@pytest.mark.parametrize("code", [ASLEEP, DEAD_LOCKED])
def test_one_that_waits_for_ever_does_not_work(code: str) -> None:
    """Not even where many threads ask for the lock again and again."""
    with running(code) as process:
        effort = Effort()
        # What it did until now, and its threads' own sleep, are not to count.
        looks(effort, process.pid, 2)
        assert looks(effort, process.pid, 8).count(True) <= 1


def test_one_that_somebody_has_stopped_does_not_work() -> None:
    with running(BUSY) as process:
        process.send_signal(signal.SIGSTOP)
        effort = Effort()
        looks(effort, process.pid, 1)
        assert not any(looks(effort, process.pid, 2))


def test_one_that_is_gone_does_not_work() -> None:
    with running(BUSY) as process:
        process.kill()
        process.wait()
        assert not Effort().has_worked(process.pid)
    assert not Effort().has_worked(None)
