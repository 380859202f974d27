"""The examples on the pages about flows, evaluation and training run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.+?)```", (DOCS / page).read_text(), re.DOTALL)


BLOCKS = [
    *blocks("flows.md"),
    "\n\n".join(blocks("evaluation.md")),
    "\n\n".join(blocks("training.md")),
]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_runs(block: str, tmp_path: Path) -> None:
    # From a file: blocks of flows look at the names of the function that they stand in.
    file = tmp_path / "example.py"
    file.write_text(block)
    exec(compile(block, str(file), "exec"), {"__name__": "example"})


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 6
