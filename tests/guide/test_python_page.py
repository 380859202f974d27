"""The examples of docs/python.md run as they stand: in one program, and on workers."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import rootward as front
from tests.support.programs import run

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text()


def blocks(*kinds: str) -> str:
    """Return the examples of these kinds as one program."""
    found = re.findall(r"^```(python(?: redis)?)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return "\n\n".join(text for kind, text in found if kind in kinds)


def test_the_examples_run_in_one_program(tmp_path: Path) -> None:
    """Without a Redis."""
    (tmp_path / "page.py").write_text(blocks("python"))
    done = run([sys.executable, "page.py"], folder=tmp_path)
    assert done.process.returncode == 0, done.report()


@pytest.mark.timeout(180)
def test_the_examples_run_on_workers(tmp_path: Path, environ: dict[str, str | None]) -> None:
    """All of them; a program in a pipe is told no more than what it prints."""
    (tmp_path / "page.py").write_text(blocks("python", "python redis"))
    done = run([sys.executable, "page.py"], folder=tmp_path, environ=environ, timeout=120)
    assert done.process.returncode == 0, done.report()
    assert done.stderr == ""


def test_every_public_name_has_its_section() -> None:
    """`scripts/python-docs` writes them."""
    names = [name for name in front.__all__ if not re.fullmatch(r"_\d", name)]
    assert [name for name in names if f"### `{name}`" not in PAGE] == []
