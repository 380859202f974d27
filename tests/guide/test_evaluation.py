"""What a module is evaluated on, as a user gives it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rootward.modules import ModuleBase


class Add(ModuleBase):
    def forward(self, a: int, b: int = 0) -> int:
        return a + b


@pytest.fixture
def numbers(tmp_path: Path) -> str:
    file = tmp_path / "numbers.json"
    file.write_text("[1, 2, 3]")
    return str(file)


def test_items_are_arguments_and_dicts_are_keyword_arguments() -> None:
    module = Add()
    module.evalset([1, {"a": 1, "b": 2}])
    assert module.eval().eval_result == [1, 3]


def test_load_f_reads_the_open_file(numbers: str) -> None:
    module = Add()
    module.evalset(numbers, load_f=json.load)
    assert module.eval().eval_result == [1, 2, 3]


def test_load_f_opens_the_path(numbers: str) -> None:
    """Also a function that wants the path gets its way."""

    def read(path: str) -> list[int]:
        return list(json.loads(Path(path).read_text()))

    module = Add()
    module.evalset(numbers, load_f=read)
    assert module.eval().eval_result == [1, 2, 3]


def test_collect_f_gets_the_whole_list() -> None:
    module = Add()
    module.evalset([1, 2], collect_f=sum)
    assert module.eval().eval_result == 3


def test_a_missing_file_is_no_list_of_letters(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Add().evalset(str(tmp_path / "missing.json"), load_f=json.load)
