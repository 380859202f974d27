"""What `up --reload` watches, and how it deploys again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rootward.orchestrator.cli.reload import changes, deploy_command, marks, project_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_written_added_and_removed_is_seen(tmp_path: Path) -> None:
    """Source files only, in folders that are the user's."""
    for name in ("app.py", "old.py", "pkg/part.py", "pkg/__pycache__/part.py", ".git/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    (tmp_path / "env" / "lib").mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "env" / "lib" / "other.py").touch()
    (tmp_path / "weights.bin").touch()
    before = marks(tmp_path)
    assert {os.path.relpath(path, tmp_path) for path in before} == {
        *("app.py", "old.py", "pkg/part.py"),
    }
    assert changes(before, marks(tmp_path)) == set()
    (tmp_path / "app.py").write_text("22")
    (tmp_path / "old.py").unlink()
    (tmp_path / "new.py").touch()
    seen = {os.path.relpath(path, tmp_path) for path in changes(before, marks(tmp_path))}
    assert seen == {"app.py", "old.py", "new.py"}


def test_the_options_of_up_are_those_of_the_next_deploy() -> None:
    """Each as it is written on the command line."""
    order = {
        "name": None,
        "kinds": ("train", "deploy"),
        "recursive": True,
        "timeout": None,
        "retries": 2,
        "by_value": False,
        "bundle": False,
        "include": ("*.csv", "x"),
    }
    words = deploy_command("app.py:tree", "digits", order)[4:]
    assert words == [
        *("deploy", "app.py:tree", "--name", "digits", "--kinds", "train,deploy"),
        *(
            "--retries",
            "2",
            "--by-reference",
            "--no-bundle",
            "--include",
            "*.csv",
            "--include",
            "x",
            "--changed",
        ),
    ]
    part = deploy_command("app.py:tree", "digits", {"recursive": False})
    assert "--changed" not in part


def test_the_project_is_the_folder_of_the_file(tmp_path: Path) -> None:
    """Of a package it is the folder that holds it."""
    assert project_folder(f"{tmp_path}/app.py:tree") == tmp_path
    assert project_folder("tests.support.sites:Site").name in {"tests", "cli", "main"}
