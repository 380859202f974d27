"""An evalset is a list or a file; results keep its order, whatever the module's forward is."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from rootward.modules import ActionModule, ModuleBase
from rootward.modules.state.exceptions import message_of
from rootward.modules.tasks import tasks_of


class Echo(ModuleBase):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return [*args, kwargs] if kwargs else list(args)


def evaluated(module: ModuleBase) -> Any:
    for task in tasks_of(module, "eval") or ():
        task()
    return module.eval_result


def test_a_dict_is_keywords_and_anything_else_one_argument() -> None:
    module = Echo()
    module.evalset([1, {"a": 2}, (3, 4)])
    assert evaluated(module) == [[1], [{"a": 2}], [(3, 4)]]


def test_any_iterable_is_a_list_of_items() -> None:
    module = Echo()
    module.evalset(range(2))
    assert evaluated(module) == [[0], [1]]


def test_collect_gets_the_whole_list() -> None:
    module = ActionModule(lambda x: x * 2)
    module.evalset([1, 2, 3], collect_f=sum)
    assert evaluated(module) == 12


def test_items_are_computed_at_once_and_keep_their_order() -> None:
    meeting = threading.Barrier(4)

    def meet(value: int) -> int:
        meeting.wait(10)
        return value

    module = ActionModule(meet)
    module.evalset([3, 1, 2, 0])
    assert evaluated(module) == [3, 1, 2, 0]


def test_no_items_make_an_empty_result() -> None:
    module = Echo()
    module.evalset([])
    assert evaluated(module) == []


def test_streams_and_async_results_are_taken_whole() -> None:
    class Stream(ModuleBase):
        def forward(self, count: int) -> Any:
            yield from range(count)

    class Later(ModuleBase):
        async def forward(self, value: int) -> int:
            return value + 1

    class LaterStream(ModuleBase):
        async def forward(self, count: int) -> Any:
            for index in range(count):
                yield index

    results = []
    for module in (Stream(), Later(), LaterStream()):
        module.evalset([2, 3])
        results.append(evaluated(module))
    assert results == [[[0, 1], [0, 1, 2]], [3, 4], [[0, 1], [0, 1, 2]]]


def test_the_exception_of_forward_is_the_evaluations() -> None:
    module = ActionModule(lambda x: 1 / x)
    module.evalset([1, 0])
    with pytest.raises(ZeroDivisionError):
        evaluated(module)
    module.evalset([0, 0])
    with pytest.raises(ExceptionGroup):
        evaluated(module)


class Unshowable:
    """Has no repr."""

    def __repr__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("items", "index", "shown"),
    [([1, 0], 1, "0"), ([{"x": 0}], 0, "{'x': 0}"), ([1, Unshowable(), 1], 1, "a Unshowable")],
)
def test_the_item_that_fails_is_named(items: list[Any], index: int, shown: str) -> None:
    module = ActionModule(lambda x: 1 / x)
    module.evalset(items)
    with pytest.raises((ZeroDivisionError, TypeError)) as caught:
        evaluated(module)
    assert caught.value.__notes__ == [f"evaluating item {index}: {shown}"]
    assert f"(evaluating item {index}: {shown})" in message_of(caught.value)


def test_a_file_is_read_by_load_f_or_as_json(tmp_path: Path) -> None:
    module = Echo()
    text, table, lines = (tmp_path / name for name in ("a.txt", "b.json", "c.jsonl"))
    text.write_text("x\ny\n")
    table.write_text('[1, {"k": 2}]')
    lines.write_text("1\n\n[2]\n")
    module.evalset(str(text), load_f=lambda file: [line.strip() for line in file])
    assert evaluated(module) == [["x"], ["y"]]
    module.evalset(table)
    assert evaluated(module) == [[1], [{"k": 2}]]
    module.evalset(str(lines))
    assert evaluated(module) == [[1], [[2]]]


def test_a_missing_file_is_no_list_of_characters() -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.json"):
        Echo().evalset("missing.json")


def test_a_file_that_is_no_list_asks_for_load_f(tmp_path: Path) -> None:
    broken, other = tmp_path / "a.csv", tmp_path / "b.json"
    broken.write_text("a,b")
    other.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="load_f"):
        Echo().evalset(broken)
    with pytest.raises(TypeError, match="load_f"):
        Echo().evalset(other)


@pytest.mark.parametrize("items", [3, {"a": 1}, b"ab", None])
def test_what_holds_no_items_is_refused(items: Any) -> None:
    with pytest.raises(TypeError, match="list of items"):
        Echo().evalset(items)


def test_evalset_returns_nothing() -> None:
    assert Echo().evalset([1]) is None  # type: ignore[func-returns-value]
