"""The examples that rootward was made from, to the character, in one process and on two workers."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import run

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

EXAMPLES = sorted((Path(__file__).parent / "seed").glob("*.py"))
IDS = [path.stem for path in EXAMPLES]


def expected_output(example: Path) -> str:
    return example.with_suffix(".expected").read_text()


@pytest.mark.parametrize("example", EXAMPLES, ids=IDS)
def test_example_without_redis_prints_what_is_expected_to_the_character(
    example: Path, tmp_path: Path
) -> None:
    program = run(
        [sys.executable, os.fspath(example)], folder=tmp_path, environ={"LAZY": "rootward"}
    )
    assert program.process.returncode == 0, program.report()
    assert program.stdout == expected_output(example), program.report()


@pytest.mark.parametrize("example", EXAMPLES, ids=IDS)
def test_example_on_two_workers_prints_the_same_lines_children_first(
    example: Path, network: Network
) -> None:
    """Tasks without an edge between them may end in any order; what depends keeps its order."""
    network.worker()
    network.worker()
    program = run(
        [sys.executable, os.fspath(example)],
        folder=network.folder,
        environ={**network.environ, "LAZY": "rootward"},
    )
    assert program.process.returncode == 0, program.report()
    lines = program.stdout.splitlines()
    assert Counter(lines) == Counter(expected_output(example).splitlines()), program.report()
    assert_children_before_parents(lines)


def test_example_of_one_module_keeps_its_order_on_workers(network: Network) -> None:
    """With one module there is an edge between any two lines, so the output is the same."""
    example = EXAMPLES[0]
    network.worker()
    program = run(
        [sys.executable, os.fspath(example)],
        folder=network.folder,
        environ={**network.environ, "LAZY": "rootward"},
    )
    assert program.stdout == expected_output(example), program.report()


def assert_children_before_parents(lines: list[str]) -> None:
    """The seventh example names its modules so that a child's name begins with its parent's."""
    if not any(" m1-1 deployed!" in line for line in lines):
        return
    deployed = [match[1] for line in lines if (match := re.match(r"Module (.+) deployed!", line))]
    trained = [number for number, line in enumerate(lines) if line.endswith(" trained!")]
    first_deployed = next(n for n, line in enumerate(lines) if line.endswith(" deployed!"))
    assert max(trained) < first_deployed
    for parent in deployed:
        for child in deployed:
            if child.startswith(f"{parent} "):
                assert deployed.index(child) < deployed.index(parent)
