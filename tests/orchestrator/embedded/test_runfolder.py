"""How commands of one user find a running `up`, and what they don't believe."""

from __future__ import annotations

import os
import stat
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from rootward.orchestrator.embedded.runfolder import NoFolder, RunFolder, UpState, running

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for runs that is nobody else's."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def state(**changes: Any) -> UpState:
    """A state with some changes."""
    given: dict[str, Any] = {
        "url": "unix:///somewhere",
        "secret": "s",
        "prefix": "rootward",
        "deployment": "tree",
        "pid": os.getpid(),
        "started_at": 1.0,
    }
    return UpState(**{**given, **changes})


def test_a_running_up_is_found_by_its_state_file() -> None:
    """The newest comes first, and the file is for this user alone."""
    folders = [RunFolder.create(), RunFolder.create()]
    for number, folder in enumerate(folders):
        folder.announce(state(started_at=float(number), deployment=f"tree{number}"))
        mode = (folder.path / "up.json").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
    assert [found.deployment for found in running()] == ["tree1", "tree0"]
    folders[1].withdraw()
    assert [found.deployment for found in running()] == ["tree0"]
    for folder in folders:
        folder.remove()
    assert running() == []


def test_the_last_run_removes_the_folder_of_all(runtime_folder: Path) -> None:
    """Nothing is left where there was nothing before."""
    RunFolder.create().remove()
    assert list(runtime_folder.iterdir()) == []


def test_a_stale_state_is_not_believed() -> None:
    """A state file whose owner has gone names a server that isn't there."""
    folder = RunFolder.create()
    folder.announce(state())
    folder.release()
    assert running() == []
    folder.remove()


def test_a_stale_folder_is_swept_by_the_next_run() -> None:
    """What a killed run left behind doesn't stay for ever; what is new or held does."""
    stale, fresh, held = RunFolder.create(), RunFolder.create(), RunFolder.create()
    for folder in (stale, held):
        os.utime(folder.path, (1.0, 1.0))
    stale.release()
    fresh.release()
    RunFolder.create()
    assert not stale.path.exists()
    assert fresh.path.exists()
    assert held.path.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": "redis://x"}', '{"unknown": 1}'])
def test_a_damaged_state_file_is_no_state(text: str) -> None:
    """Half a file, or one of another version, is passed over in silence."""
    folder = RunFolder.create()
    folder.announce(state())
    (folder.path / "up.json").write_text(text)
    assert running() == []
    folder.remove()


def test_a_file_that_others_can_write_is_not_believed(runtime_folder: Path) -> None:
    """It would let another user choose where this user's commands go."""
    folder = RunFolder.create()
    folder.announce(state())
    (folder.path / "up.json").chmod(0o666)
    assert running() == []
    (folder.path / "up.json").chmod(0o600)
    assert len(running()) == 1
    (runtime_folder / "rootward").chmod(0o777)
    assert running() == []


def test_a_folder_that_is_not_ours_alone_is_passed_over(
    runtime_folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user can take the name in the folder for temporary files, and blocks nobody."""
    temporary, home = tmp_path_factory.mktemp("tmp"), tmp_path_factory.mktemp("home")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    (temporary / f"rootward-{os.getuid()}").mkdir(mode=0o777)
    (temporary / f"rootward-{os.getuid()}").chmod(0o777)
    folder = RunFolder.create()
    try:
        assert folder.path.is_relative_to(home)
        folder.announce(state())
        assert running() == [state()]
    finally:
        folder.remove()
    (home / ".local").rename(home / "moved")
    (home / ".local").write_text("in the way")
    with pytest.raises(NoFolder, match=r"belongs to another user .*: set XDG_RUNTIME_DIR"):
        RunFolder.create()


def test_the_repr_of_a_state_hides_the_secret() -> None:
    """States end up in messages."""
    assert "hunter2" not in repr(state(secret="hunter2"))
