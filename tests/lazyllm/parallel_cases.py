"""Parallel, diverter and warp."""

from __future__ import annotations

from typing import Any

from .cases import case, double, gather, inc

# Parallel and its kin.


@case(("package", 3, 4))
def a_parallel_returns_a_package(lazy: Any) -> Any:
    return lazy.parallel(inc, double)(2)


@case([[3, 4], {}])
def a_parallel_spreads_into_the_next_step(lazy: Any) -> Any:
    return lazy.pipeline(lazy.parallel(inc, double), gather)(2)


@case([[3, 4], (3, 4), {"a": 3, "b": 4}, 7, "3-4"])
def a_parallel_has_forms(lazy: Any) -> Any:
    return [
        lazy.parallel(inc, double).aslist(2),
        lazy.parallel(inc, double).astuple(2),
        lazy.parallel(a=inc, b=double).asdict(2),
        lazy.parallel(inc, double).sum(2),
        lazy.parallel(inc, double).join("-")(2),
    ]


@case("xyxy")
def a_sum_of_texts_puts_them_together(lazy: Any) -> Any:
    return lazy.parallel(lambda x: x, lambda x: x).sum("xy")


@case(("package", 3, 4))
def a_sequential_parallel_gives_the_same(lazy: Any) -> Any:
    return lazy.parallel.sequential(inc, double)(2)


@case([("package", 4), ("package", 4), ("package", 3)])
def items_can_be_skipped(lazy: Any) -> Any:
    p = lazy.parallel(a=inc, b=double)
    return [p(2, _skip_items=[0]), p(2, _skip_items=["a"]), p(2, _skip_items=["b"])]


@case([("package", 4), ("package", 3)])
def items_can_be_kept(lazy: Any) -> Any:
    p = lazy.parallel(a=inc, b=double)
    return [p(2, _kept_items=[1]), p(2, _kept_items=["a"])]


@case("error")
def skipping_and_keeping_together_is_an_error(lazy: Any) -> Any:
    return lazy.parallel(inc, double)(2, _kept_items=[1], _skip_items=[0])


@case({"b": 4}, lazyllm={"a": 4}, why="the names of what ran; LazyLLM gives the first names")
def a_dict_has_the_names_of_what_ran(lazy: Any) -> Any:
    return lazy.parallel(a=inc, b=double).asdict(2, _skip_items=["a"])


@case([("package", 2, 6), ("package", 2, 6)])
def a_diverter_takes_skipped_inputs_or_leaves_them_out(lazy: Any) -> Any:
    d = lazy.diverter(inc, double, lambda x: x * 2)
    return [d(1, 2, 3, _skip_items=[1]), d(1, 3, _skip_items=[1])]


@case(("package", 2, 4))
def a_diverter_gives_each_its_own(lazy: Any) -> Any:
    return lazy.diverter(inc, double)(1, 2)


@case(("package", 2, 4))
def a_diverter_takes_a_list(lazy: Any) -> Any:
    return lazy.diverter(inc, double)([1, 2])


@case(("package", 2, 4))
def a_diverter_takes_a_dict_by_names(lazy: Any) -> Any:
    return lazy.diverter(a=inc, b=double)({"b": 2, "a": 1})


@case(("package", 2, 4))
def a_parallel_may_scatter(lazy: Any) -> Any:
    return lazy.parallel(inc, double, _scatter=True)(1, 2)


@case(
    "error",
    lazyllm=("package", 2, 4),
    why="more inputs than items are an error, not cut silently",
)
def a_diverter_with_too_many_inputs(lazy: Any) -> Any:
    return lazy.diverter(inc, double)(1, 2, 3)


@case(("package", 2, 3, 4))
def a_warp_runs_its_item_for_each(lazy: Any) -> Any:
    return lazy.warp(inc)(1, 2, 3)


@case(("package", 4, 6))
def a_warp_of_several_items_is_a_pipeline(lazy: Any) -> Any:
    return lazy.warp(inc, double)(1, 2)


@case(("package", 4, 6))
def a_warp_is_filled_in_a_block(lazy: Any) -> Any:
    with lazy.warp() as w:
        w.a = inc
        w.b = double
    return w(1, 2)


@case(
    [[4, 2], [6, 3]],
    lazyllm="a function",
    why="an item of a warp means its output; LazyLLM passes the function itself",
)
def a_warp_of_several_items_knows_their_outputs(lazy: Any) -> Any:
    with lazy.warp().aslist as w:
        w.a = inc
        w.b = double
        w.c = lazy.bind(lambda x, y: [x, y], lazy._0, w.a)
    result = w(1, 2)
    return "a function" if callable(result[0][1]) else result


@case("error")
def a_warp_has_no_dict(lazy: Any) -> Any:
    return lazy.warp(inc).asdict(1, 2)


@case([[4, 2], ["f", "f", "g", "g"]])
def a_barrier_holds_the_branches_together(lazy: Any) -> Any:
    from importlib import import_module

    barrier = import_module(f"{lazy.__name__}.flow").barrier
    seen: list[str] = []

    def f(x: Any) -> Any:
        seen.append("f")
        return x

    def g(x: Any) -> Any:
        seen.append("g")
        return x

    flow = lazy.parallel(
        lazy.pipeline(f, barrier, g, double), lazy.pipeline(f, barrier, g, lambda x: x)
    ).aslist
    return [flow(2), seen]
