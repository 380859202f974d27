"""What of a worker's environment other processes of its user can read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rootward.worker.hidden_environment import HIDDEN

PROGRAM = """
import ctypes, os, sys
from rootward.worker.hidden_environment import hide
hide()
print(sorted(os.environ.keys() & {"ROOTWARD_SECRET", "REDIS_URL", "KEPT"}))
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
sys.stdout.flush()
sys.stdin.read()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_neither_the_secret_nor_the_address_is_left_to_be_read() -> None:
    secret = "hunter2" * 20
    environ = {**os.environ, **dict.fromkeys(HIDDEN, secret), "KEPT": "kept"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "['KEPT']\n"
        assert process.stdout.readline() == "0\n", "nobody may look into it"
        try:
            shown = Path(f"/proc/{process.pid}/environ").read_bytes()
        except PermissionError:
            # Who isn't root can't even ask.
            shown = b"KEPT=kept"
        assert b"hunter2" not in shown
        assert b"KEPT=kept" in shown
        process.communicate("")
    assert process.returncode == 0
