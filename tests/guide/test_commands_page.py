"""The example of docs/commands.md runs as it stands: in one program, and on workers."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.support.programs import run

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
[EXAMPLE] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("on_workers", [False, True])
def test_the_example_runs(tmp_path: Path, environ: dict[str, str | None], on_workers: bool) -> None:
    (tmp_path / "page.py").write_text(EXAMPLE)
    given = environ if on_workers else {"ROOTWARD_WORKSPACE": str(tmp_path / "work")}
    done = run([sys.executable, "page.py"], folder=tmp_path, environ=given, timeout=120)
    assert done.process.returncode == 0, done.report()
