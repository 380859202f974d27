"""Pipelines and the blocks that they are written in."""

from __future__ import annotations

from typing import Any

from .cases import Callable7, add, case, double, gather, inc

# Pipelines.


@case(8)
def a_pipeline_runs_in_order(lazy: Any) -> Any:
    return lazy.pipeline(inc, double)(3)


@case(5)
def an_empty_pipeline_returns_its_input(lazy: Any) -> Any:
    return lazy.pipeline()(5)


@case(8)
def items_may_be_one_list(lazy: Any) -> Any:
    return lazy.pipeline([inc, double])(3)


@case(3)
def several_arguments_go_to_the_first(lazy: Any) -> Any:
    return lazy.pipeline(add)(1, 2)


@case([[1], {"k": 2}])
def keywords_go_to_the_first(lazy: Any) -> Any:
    return lazy.pipeline(gather)(1, k=2)


@case([[[[1], {"k": 2}]], {}])
def keywords_go_to_the_first_alone(lazy: Any) -> Any:
    return lazy.pipeline(gather, gather)(1, k=2)


@case([[1, 2], {}])
def a_package_becomes_arguments(lazy: Any) -> Any:
    return lazy.pipeline(lambda x: lazy.package(x, 2), gather)(1)


@case([[(1, 2)], {}])
def a_tuple_stays_one_argument(lazy: Any) -> Any:
    return lazy.pipeline(lambda x: (x, 2), gather)(1)


@case([[], {"a": 1}])
def kwargs_become_keywords(lazy: Any) -> Any:
    return lazy.pipeline(lambda x: lazy.kwargs(a=x), gather)(1)


@case(10)
def a_class_whose_objects_can_be_called_is_an_item(lazy: Any) -> Any:
    return lazy.pipeline(inc, Callable7)(2)


@case(10)
def a_class_is_an_item_by_keyword(lazy: Any) -> Any:
    return lazy.pipeline(a=inc, b=Callable7)(2)


@case("3", lazyllm="error", why="a type such as str converts; LazyLLM makes an empty text of it")
def a_type_converts(lazy: Any) -> Any:
    return lazy.pipeline(inc, str)(2)


@case([8, [8]])
def a_post_action_sees_the_result(lazy: Any) -> Any:
    seen: list[Any] = []
    return [lazy.pipeline(inc, double, post_action=seen.append)(3), seen]


@case([(1, 2), [1, 2]])
def a_post_action_gets_a_package_spread(lazy: Any) -> Any:
    seen: list[Any] = []
    flow = lazy.parallel(inc, double, post_action=lambda *args: seen.extend(args)).astuple
    result = flow(0)
    return [(result[0], 2 + result[1]), [seen[0], 2 + seen[1]]]


@case([{"a": 2, "b": 2}, [2, 2]])
def a_post_action_of_a_parallel_comes_before_its_form(lazy: Any) -> Any:
    seen: list[Any] = []
    flow = lazy.parallel(a=inc, b=double, post_action=lambda *args: seen.extend(args)).asdict
    return [flow(1), seen]


@case([8, "made"])
def a_post_action_may_be_a_class(lazy: Any) -> Any:
    made: list[Any] = []

    class Action:
        def __call__(self, _: Any) -> None:
            made.append("made")

    return [lazy.pipeline(inc, double, post_action=Action)(3), made[0]]


@case("error")
def what_cannot_be_called_fails(lazy: Any) -> Any:
    return lazy.pipeline(inc, 3)(1)


@case(6)
def flows_are_items(lazy: Any) -> Any:
    return lazy.pipeline(inc, lazy.pipeline(inc, double))(1)


@case([3, 4])
def names_reach_items(lazy: Any) -> Any:
    p = lazy.pipeline(a=inc, b=double)
    return [p.a(2), p.b(2)]


@case("error")
def an_exception_ends_the_flow(lazy: Any) -> Any:
    return lazy.pipeline(lambda x: x / 0, inc)(1)


# With blocks.


@case(8)
def a_with_block_fills_a_flow(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = inc
        p.b = double
    return p(3)


@case("error")
def a_name_twice_in_a_block_is_an_error(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = inc
        p.a = double
    return p(3)


@case(400)
def a_nested_block_under_a_plain_name_is_an_item(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.first = lambda x: x * 2
        with lazy.pipeline() as sub:
            sub.a = lambda x: x * 10
            sub.b = lambda x: x * 10
    return p(2)


@case([21, ["sub", "last"]])
def a_nested_block_comes_before_what_follows_it(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        with lazy.pipeline() as sub:
            sub.a = lambda x: x * 10
        p.last = inc
    names: list[str] = [n for n in ("sub", "last") if getattr(p, n)]
    return [p(2), names]


@case([4, 20])
def a_nested_block_may_be_named_by_its_parent(lazy: Any) -> Any:
    with lazy.pipeline() as p:  # noqa: SIM117
        with lazy.parallel().aslist as p.both:
            p.both.a = double
            p.both.b = lambda x: x * 10
    return p(2)


@case([4, 20])
def a_block_may_have_two_names(lazy: Any) -> Any:
    with lazy.pipeline() as p:  # noqa: SIM117
        with lazy.parallel().aslist as (p.q, q):
            q.a = double
            q.b = lambda x: x * 10
    return p(2)


@case([[6, 1], [30, 1]])
def a_bound_flow_has_a_block(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.first = inc
        with lazy.parallel().aslist.bind(lazy._0, p.input) as p.q:
            p.q.a = lambda x, y: [x * 3, y]
            p.q.b = lambda x, y: [x * 15, y]
    return p(1)


def _other_function(lazy: Any) -> Any:
    with lazy.pipeline() as inner:
        inner.a = lambda x: x * 100
    return inner


@case([4, 600])
def a_flow_of_another_function_joins_nobody(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = double
        other = _other_function(lazy)
    return [p(2), other(6)]


@case(9)
def a_block_captures_what_is_newly_named(lazy: Any) -> Any:
    with lazy.pipeline(auto_capture=True) as p:
        first = inc  # noqa: F841
        second = lambda x: x * 3  # noqa: F841, E731
    return p(2)


@case(9, lazyllm="error", why="only what can be called is captured")
def a_block_captures_no_numbers(lazy: Any) -> Any:
    with lazy.pipeline(auto_capture=True) as p:
        times = 3
        first = inc  # noqa: F841
        second = lambda x: x * times  # noqa: F841, E731
    return p(2)


@case("m")
def an_unnamed_module_takes_the_items_name(lazy: Any) -> Any:
    class M(lazy.ModuleBase):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return x

    with lazy.pipeline() as p:
        p.m = M()
    return p.m.name


@case([4, 3], lazyllm="error", why="an item may be replaced after the block")
def an_item_is_replaced_after_the_block(lazy: Any) -> Any:
    p = lazy.pipeline(a=inc)
    before = p(3)
    p.a = lambda x: x
    return [before, p(3)]


@case(8, lazyllm="error", why="a flow with items has a block too")
def a_filled_flow_has_a_block(lazy: Any) -> Any:
    with lazy.pipeline(a=inc) as p:
        p.b = double
    return p(3)


@case(8, lazyllm="error", why="items may stand by place and by name together")
def items_by_place_and_by_name(lazy: Any) -> Any:
    return lazy.pipeline(inc, b=double)(3)
