"""Importing a TARGET leaves the command as it was."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from rootward.modules.errors import TargetError
from rootward.orchestrator.cli.target import load

if TYPE_CHECKING:
    from pathlib import Path

TREE = """
import signal
from rootward import ModuleBase

signal.signal(signal.SIGINT, signal.SIG_IGN)
tree = ModuleBase()
"""


def test_what_signals_do_stays_as_it_was(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    (tmp_path / "takes_signals.py").write_text(TREE)
    load(f"{tmp_path}/takes_signals.py:tree")
    assert signal.getsignal(signal.SIGINT) is before


def test_so_it_does_when_the_import_fails(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    (tmp_path / "takes_and_fails.py").write_text(f"{TREE}1 / 0\n")
    with pytest.raises(TargetError, match="takes_and_fails"):
        load(f"{tmp_path}/takes_and_fails.py:tree")
    assert signal.getsignal(signal.SIGINT) is before
