"""Items come from lists, files, functions and generators, and are read again by their index."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

from rootward.modules.evaluation import sources
from rootward.modules.evaluation.sources import Listed, Streamed, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def counted(stop: int, *more: int, step: int = 1, **named: int) -> Iterator[int]:
    yield from range(0, stop, step)
    yield from more
    yield from named.values()


def test_a_generator_travels_as_what_made_it_and_begins_anew_each_time() -> None:
    source = source_of(counted(4, 7, step=2, x=9), None)
    copied = pickle.loads(cloudpickle.dumps(source))
    assert list(copied.read(1)) == [(1, 2), (2, 7), (3, 9)]
    assert list(copied.read(0)) == [(0, 0), (1, 2), (2, 7), (3, 9)]
    assert copied.total == 4
    assert source.total is None, "nothing was read here"


def test_a_generator_expression_and_a_closure_travel() -> None:
    factor = 3

    def scaled() -> Iterator[int]:
        yield from (factor * each for each in range(3))

    for given in (scaled(), (factor * each for each in range(3)), scaled):
        copied = pickle.loads(cloudpickle.dumps(source_of(given, None)))
        assert [item for _, item in copied.read(0)] == [0, 3, 6]
        assert [item for _, item in copied.read(2)] == [6]


def test_a_generator_that_has_begun_is_read_whole() -> None:
    begun = counted(3)
    next(begun)
    source = source_of(begun, None)
    assert isinstance(source, Listed)
    assert list(source.read(0)) == [(0, 1), (1, 2)]


def test_a_generator_that_can_not_be_run_again_or_travel_is_read_whole() -> None:
    import threading

    def locked(lock: Any) -> Iterator[int]:
        with lock:
            yield from range(3)

    assert isinstance(source_of((each for each in zip("ab", "cd", strict=True)), None), Listed)
    copied = pickle.loads(cloudpickle.dumps(source_of(locked(threading.Lock()), None)))
    assert isinstance(copied, Listed)
    assert [item for _, item in copied.read(0)] == [0, 1, 2]


def test_reading_goes_on_where_it_was_without_a_second_look() -> None:
    opened: list[int] = []

    def items() -> Iterator[int]:
        opened.append(1)
        yield from range(10)

    source = Streamed(items)
    assert [next(source.read(index))[1] for index in (0, 3, 5)] == [0, 3, 5]
    assert opened == [1]
    assert next(source.read(2))[1] == 2
    assert opened == [1, 1]


def test_a_small_file_travels_and_a_large_one_is_read_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text("1\n2\n3\n")
    assert isinstance(source_of(file, None), Listed)
    monkeypatch.setattr(sources, "LARGEST_FILE_SENT", 3)
    large = source_of(file, None)
    assert isinstance(large, Streamed)
    assert len(cloudpickle.dumps(large)) < 1000
    assert list(large.read(1)) == [(1, 2), (2, 3)]
    assert list(source_of(str(file), lambda lines: (int(each) for each in lines)).read(2)) == [
        (2, 3)
    ]
    file.unlink()
    with pytest.raises(FileNotFoundError, match="storage that all workers share"):
        large.read(0)


def test_a_file_that_load_f_reads_as_a_list_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LARGEST_FILE_SENT", 0)
    file, loaded = tmp_path / "items", []

    def load(lines: Any) -> list[str]:
        loaded.append(1)
        return [line.strip() for line in lines]

    file.write_text("a\nb\n")
    source = source_of(file, load)
    assert [list(source.read(start)) for start in (1, 0)] == [[(1, "b")], [(0, "a"), (1, "b")]]
    assert (loaded, source.total) == ([1], 2)
