"""Parallel, diverter and warp: which input goes where, in which form the results come, failures."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from rootward.modules import (
    _0,
    barrier,
    bind,
    diverter,
    kwargs,
    package,
    parallel,
    pipeline,
    warp,
)
from rootward.modules.errors import CallError, CodecError, RemoteError


def test_all_items_get_the_same_input_and_results_keep_their_order() -> None:
    assert parallel(lambda a, b: a + b, lambda a, b: a - b)(5, b=3) == (8, 2)


def test_results_are_arguments_of_the_next_step() -> None:
    assert pipeline(parallel(str, float), lambda a, b: [a, b])(1) == ["1", 1.0]


def test_the_result_of_one_item_that_is_a_list_is_one_argument() -> None:
    assert pipeline(parallel(lambda x: [x, x]), lambda only: only)(1) == [1, 1]


def test_the_form_of_the_result_can_be_chosen() -> None:
    flow = {"a": str, "b": lambda x: str(x + 1)}
    assert parallel(**flow).aslist(1) == ["1", "2"]
    assert parallel(**flow).asdict(1) == {"a": "1", "b": "2"}
    assert parallel(**flow).sum(1) == "12"
    assert parallel(**flow).join("-")(1) == "1-2"
    assert parallel(float, int).sum(1) == 2.0
    as_tuple = parallel(**flow).astuple(1)
    assert (as_tuple, type(as_tuple)) == (("1", "2"), tuple)


def test_asdict_needs_names() -> None:
    with pytest.raises(ValueError, match="name"):
        parallel(str, b=str).asdict(1)


def test_items_run_at_once() -> None:
    meeting = threading.Barrier(3)

    def meet(_: Any) -> int:
        return meeting.wait(10)

    assert sorted(parallel(meet, meet, meet)(0)) == [0, 1, 2]


def test_a_parallel_may_run_one_after_another() -> None:
    threads: list[int] = []

    def note(_: Any) -> None:
        threads.append(threading.get_ident())

    parallel.sequential(note, note)(0)
    parallel(note, note, _concurrent=False)(0)
    assert set(threads) == {threading.get_ident()}


def fail_with(error: Exception) -> Any:
    def fail(_: Any) -> None:
        raise error

    return fail


def test_one_failure_is_raised_as_it_is_after_all_have_ended() -> None:
    ended: list[int] = []
    with pytest.raises(LookupError, match="mine"):
        parallel(fail_with(LookupError("mine")), ended.append)(1)
    assert ended == [1]


def test_several_failures_come_together_in_order() -> None:
    first, second = KeyError("first"), OSError("second")
    with pytest.raises(ExceptionGroup, match="2 of 3 failed") as caught:
        parallel(fail_with(first), str, fail_with(second))(1)
    assert caught.value.exceptions == (first, second)


def test_a_sequential_parallel_stops_at_the_first_failure() -> None:
    with pytest.raises(KeyError):
        parallel.sequential(fail_with(KeyError()), fail_with(OSError()))(1)


@pytest.mark.parametrize("inputs", [(1, 2), ([1, 2],), ((1, 2),), (package(1, 2),)])
def test_a_diverter_gives_each_item_its_own_input(inputs: Any) -> None:
    assert diverter(str, float)(*inputs) == ("1", 2.0)


def test_a_diverter_unpacks_each_input() -> None:
    assert diverter(lambda a, b: a + b, lambda *, c: c)(package(1, 2), kwargs(c=3)) == (3, 3)


def test_a_diverter_takes_inputs_by_name() -> None:
    flow = diverter(a=str, b=float).asdict
    assert flow({"b": 2, "a": 1}) == flow(a=1, b=2) == {"a": "1", "b": 2.0}


@pytest.mark.parametrize("inputs", [(1,), (1, 2, 3), ([1, 2, 3],), ()])
def test_a_diverter_refuses_another_number_of_inputs(inputs: Any) -> None:
    with pytest.raises(ValueError, match=f"2 items and got {len(inputs[0] if inputs and isinstance(inputs[0], list) else inputs)} inputs"):  # fmt: skip  # noqa: E501
        diverter(str, float)(*inputs)


def test_a_diverter_refuses_other_names() -> None:
    with pytest.raises(ValueError, match="'c'"):
        diverter(a=str, b=float)({"a": 1, "c": 2})


@pytest.mark.parametrize("inputs", [(1, 2, 3), ([1, 2, 3],), (package(1, 2, 3),)])
def test_a_warp_runs_its_item_for_each_input(inputs: Any) -> None:
    assert warp(lambda x: x * 2)(*inputs) == (2, 4, 6)


def test_a_warp_takes_any_number_of_inputs_in_every_form() -> None:
    assert warp(str).aslist([]) == []
    assert warp(lambda x, scale: x * scale).sum(list(range(1_000)), scale=2) == 999_000


def test_a_warp_without_items_is_an_error() -> None:
    with pytest.raises(ValueError, match="holds none"):
        warp()(1)


def test_warps_within_warps_never_wait_for_each_other() -> None:
    table = [[1, 2, 3]] * 20
    assert (
        warp(warp(warp(lambda x: x)).aslist).aslist([[row] * 3 for row in table])[0]
        == [(1, 2, 3)] * 3
    )


def test_branches_run_in_processes_of_their_own() -> None:
    both = parallel(os.getpid, os.getpid, processes=True)
    pids = both()
    assert len({*pids, os.getpid()}) == 3
    assert warp(lambda x: x * 2, processes=True).aslist(1, 2) == [2, 4]


def test_a_branch_elsewhere_sees_the_running_calls() -> None:
    with pipeline() as p:
        p.first = lambda x: x + 1
        p.both = parallel(
            bind(lambda x, y: (x, y), _0, p.input), lambda x: -x, processes=True
        ).aslist
    assert p(1) == [(2, 1), -2]


def test_what_fails_elsewhere_is_raised_here() -> None:
    def fail(_: int) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as caught:
        parallel(fail, abs, processes=True)(1)
    assert "in fail" in caught.value.__notes__[0]

    class Odd(Exception):
        def __reduce__(self) -> Any:
            raise TypeError("not this one")

    def odd(_: int) -> None:
        raise Odd("text")

    with pytest.raises(RemoteError, match="Odd: text"):
        parallel(odd, abs, processes=True)(1)


def test_what_can_not_travel_or_dies_is_named() -> None:
    lock = threading.Lock()
    with pytest.raises(CodecError, match=r"a branch of a flow .* can't travel"):
        parallel(lambda _: lock, processes=True)(1)
    with pytest.raises(CodecError, match="the result of a branch"):
        parallel(lambda _: threading.Lock(), abs, processes=True)(1)
    with pytest.raises(CallError, match=r"ended with code 3"):
        parallel(lambda _: os._exit(3), abs, processes=True)(1)


def test_a_barrier_keeps_nobody_waiting_for_who_does_not_come() -> None:
    def fail(_: int) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        parallel(pipeline(fail, barrier), pipeline(barrier, str), abs)(1)
    assert parallel(pipeline(barrier, str), pipeline(barrier, str), _concurrent=1)(1) == ("1", "1")
    many = [pipeline(barrier, str) for _ in range(5)]
    assert parallel(*many, _concurrent=2).aslist(1) == ["1"] * 5
    assert barrier(1) == 1


def test_items_to_skip_have_to_be_there() -> None:
    both = parallel(a=abs, b=str)
    assert both(1, _skip_items="a") == ("1",)
    with pytest.raises(ValueError, match="'c' is no item"):
        both(1, _skip_items="c")
    with pytest.raises(ValueError, match="has 2 items"):
        both(1, _kept_items=2)
    with pytest.raises(ValueError, match="can't leave items out"):
        warp(abs)(1, _skip_items=0)
