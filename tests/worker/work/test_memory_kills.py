"""What was killed for want of memory is told apart from other kills."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from rootward.worker.work import assignment
from rootward.worker.work.memory_kills import MemoryKills

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_count_that_rises_is_seen_once(tmp_path: Path) -> None:
    """Missing files are none; each kill is told once."""
    events = tmp_path / "memory.events"
    events.write_text("low 0\noom 3\noom_kill 2\n")
    kills = MemoryKills([events, tmp_path / "missing"])
    assert not kills.have_risen()
    events.write_text("low 0\noom 3\noom_kill 3\n")
    assert kills.have_risen()
    assert not kills.have_risen()


def test_a_killed_process_says_that_memory_ran_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only when it was SIGKILL, and the kernel says so."""
    events = tmp_path / "memory.events"
    events.write_text("oom_kill 0\n")
    monkeypatch.setattr(assignment, "_memory_kills", MemoryKills([events]))
    assert assignment.how_it_ended(signal.SIGKILL) == "its process was killed by SIGKILL"
    events.write_text("oom_kill 1\n")
    assert "memory had run out" in assignment.how_it_ended(signal.SIGKILL)
    events.write_text("oom_kill 2\n")
    assert assignment.how_it_ended(signal.SIGTERM) == "its process was killed by SIGTERM"
