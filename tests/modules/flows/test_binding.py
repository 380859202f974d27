"""Arguments between steps: packages, bound arguments, values of the flow around a step."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from rootward.modules import _0, _1, _2, bind, kwargs, package, parallel, pipeline


def listed(*args: Any, **named: Any) -> Any:
    return [*args, named] if named else list(args)


def test_a_package_holds_several_values() -> None:
    assert package(1, 2) == (1, 2)
    assert package([1, 2]) == package(iter_of(1, 2)) == package((1, 2)) == (1, 2)


def iter_of(*values: Any) -> Any:
    yield from values


@pytest.mark.parametrize("value", [package(), package(1, 2), package([[1, 2]])])
def test_a_package_travels_as_it_is(value: Any) -> None:
    twin = pickle.loads(pickle.dumps(value))
    assert (twin, type(twin)) == (value, type(value))


def test_a_package_becomes_arguments_and_kwargs_become_keywords() -> None:
    assert pipeline(lambda x: package(x, 2), listed)(1) == [1, 2]
    assert pipeline(lambda x: kwargs(a=x), listed)(1) == [{"a": 1}]
    assert pipeline(lambda x: (x, 2), listed)(1) == [(1, 2)]


def test_bound_arguments_replace_those_of_the_call_unless_placed() -> None:
    assert bind(listed, 7)(1, 2) == [7]
    assert bind(listed, _1, 7, _0)(1, 2) == [2, 7, 1]
    assert bind(listed, key=_1)(1, 2) == [1, 2, {"key": 2}]
    assert bind(listed, 7, key=1)(other=2) == [7, {"key": 1, "other": 2}]


def test_a_function_is_bound_by_a_bar() -> None:
    assert (listed | bind(_0, 7))(1) == [1, 7]
    assert (listed | bind(print, _0))(1) == [print, 1]
    assert (str | bind(_0))(1) == "1"


def test_a_bind_without_function_says_how_it_is_written() -> None:
    with pytest.raises(TypeError, match=r"bind\(f"):
        bind(1, 2)()


def test_a_missing_argument_is_told() -> None:
    with pytest.raises(TypeError, match="argument 3, 2 were given"):
        bind(listed, _2)(1, 2)


def test_a_step_sees_the_input_of_its_flow_and_earlier_outputs() -> None:
    with pipeline() as p:
        p.double = lambda x: x * 2
        p.more = lambda x: x + 1
        p.all = bind(listed, p.input, _0, p.output("double"), p.output(p.more))
    assert p(5) == [5, 11, 10, 11]


def test_several_arguments_are_one_package() -> None:
    with pipeline() as p:
        p.add = lambda a, b, scale=1: (a + b) * scale
        p.all = bind(listed, p.input, p.kwargs["scale"], _0)
    assert p(1, 2, scale=10) == [(1, 2), 10, 30]


def test_an_output_can_be_unpacked_and_taken_apart() -> None:
    with pipeline() as p:
        p.both = parallel(lambda x: x, lambda x: {"key": x})
        p.last = lambda *_: None
        p.all = bind(
            listed, p.output(p.both, unpack=True), p.output("both")[1]["key"], p.input.real
        )
    assert p(3) == [3, {"key": 3}, 3, 3]


def test_a_flow_within_a_flow_sees_values_of_the_outer_one_in_its_threads() -> None:
    with pipeline() as p:
        p.double = lambda x: x * 2
        with parallel().aslist as p.side:
            p.side.one = bind(listed, p.input)
            p.side.two = bind(listed, p.output("double"), _0)
    assert p(4) == [[4], [8, 8]]


def test_concurrent_calls_never_mix() -> None:
    meeting = threading.Barrier(8)

    def meet(value: int) -> int:
        meeting.wait(10)
        return value

    with pipeline() as p:
        p.meet = meet
        p.check = bind(listed, _0, p.input)
    results: list[Any] = [None] * 8

    def call(index: int) -> None:
        results[index] = p(index)

    threads = [threading.Thread(target=call, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[index, index] for index in range(8)]


def test_a_value_is_refused_where_there_is_none() -> None:
    with pipeline() as p:
        p.first = bind(listed, _0)
        p.second = listed
    early = bind(listed, p.output("second"))
    p.first = early
    with pytest.raises(RuntimeError, match="before that step"):
        p(1)
    with pytest.raises(RuntimeError, match="outside of a call"):
        early(1)
    with pytest.raises(ValueError, match=r"'third'.*'first', 'second'"):
        p.output("third")


def test_a_flow_with_bound_values_travels() -> None:
    with pipeline() as p:
        p.first = str
        p.second = bind(listed, p.input, _0)
    assert pickle.loads(pickle.dumps(p))(1) == [1, "1"]
