"""Bound arguments, packages, and where a flow stands."""

from __future__ import annotations

from typing import Any

from .cases import add, case, double, gather, inc

# Bind.


@case([[1, 5], {}])
def bound_arguments_replace_those_of_the_call(lazy: Any) -> Any:
    return lazy.bind(gather, lazy._0, 5)(1, 2)


@case([[2, 1], {}])
def placeholders_put_arguments_in_order(lazy: Any) -> Any:
    return lazy.bind(gather, lazy._1, lazy._0)(1, 2)


@case([[1], {"k": 3}])
def bound_keywords_alone_keep_the_arguments(lazy: Any) -> Any:
    return lazy.bind(gather, k=3)(1)


@case([[2, 1], {}])
def the_input_of_a_pipeline_can_be_bound(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = inc
        p.b = gather | lazy.bind(lazy._0, p.input)
    return p(1)


@case([[4, 2], {}])
def an_item_as_an_argument_means_its_output(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = inc
        p.b = double
        p.c = lazy.bind(gather, lazy._0, p.a)
    return p(1)


@case([[4], {"k": 2}])
def an_item_as_a_keyword_means_its_output(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = inc
        p.b = double
        p.c = lazy.bind(gather, k=p.a)
    return p(1)


@case([[1, 4, 2], {}])
def inputs_placeholders_and_items_mix(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = inc
        p.b = double
        p.c = lazy.bind(gather, p.input, lazy._0, p.a)
    return p(1)


@case([[4, 2], {}])
def an_output_is_meant_by_name(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = inc
        p.b = double
        p.c = lazy.bind(gather, lazy._0, p.output("a"))
    return p(1)


@case([[("package", 1, 2)], {}])
def a_bound_package_is_one_argument(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = lambda x: lazy.package(x, 2)
        p.b = add
        p.c = lazy.bind(gather, p.output("a"))
    return p(1)


@case([[1, 2, 3], {}])
def an_unpacked_output_is_spread(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = lambda x: lazy.package(x, 2)
        p.b = add
        p.c = lazy.bind(gather, p.output("a", unpack=True), lazy._0)
    return p(1)


@case([[2, 3, 1], {}])
def a_slice_of_an_unpacked_output_is_spread(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = lambda x: lazy.package(x, 2, 3)
        p.b = lambda *x: x[0]
        p.c = lazy.bind(gather, p.output("a", unpack=True)[1:], lazy._0)
    return p(1)


@case([[2, "q"], {}])
def a_part_of_the_input_can_be_bound(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = lambda d: d["n"] + 1
        p.b = lazy.bind(gather, lazy._0, p.input["query"])
    return p({"n": 1, "query": "q"})


@case([[2, {"k": 5}], {}])
def the_keywords_can_be_bound(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = lambda x, k: x + 1
        p.b = lazy.bind(gather, lazy._0, p.kwargs)
    return p(1, k=5)


@case(
    [[3, 1], {}],
    lazyllm="error",
    why="an inner flow sees what an outer pipeline was given without save_pipeline_result",
)
def an_inner_flow_sees_the_outer_input(lazy: Any) -> Any:
    with lazy.pipeline() as p:
        p.a = inc
        with lazy.pipeline() as p.sub:
            p.sub.b = inc
            p.sub.c = lazy.bind(gather, lazy._0, p.input)
    return p(1)


@case([[3, 1], {}])
def save_pipeline_result_is_taken(lazy: Any) -> Any:
    from importlib import import_module

    save = import_module(f"{lazy.__name__}.flow").save_pipeline_result
    with save():
        with lazy.pipeline() as p:
            p.a = inc
            with lazy.pipeline() as p.sub:
                p.sub.b = inc
                p.sub.c = lazy.bind(gather, lazy._0, p.input)
        return p(1)


# Packages.


@case([("package", 2, 3), 1, ("package", 1, 2, 3, 4)])
def slices_and_sums_of_packages_are_packages(lazy: Any) -> Any:
    p = lazy.package(1, 2, 3)
    return [p[1:], p[0], p + lazy.package([4])]


@case(("package", 1, 2))
def a_list_makes_a_package(lazy: Any) -> Any:
    return lazy.package([1, 2])


# Names and places.


@case([True, False, True, "p"])
def a_flow_knows_where_it_stands(lazy: Any) -> Any:
    inner = lazy.pipeline(inc)
    before = inner.is_root
    outer = lazy.pipeline(inner).set_name("p")
    return [before, inner.is_root, inner.ancestor is outer, outer.name]


@case(["x", "f"])
def a_flow_has_an_id(lazy: Any) -> Any:
    with lazy.pipeline(id="x") as p:
        p.f = inc
    return [p.id(), p.id("f")]


@case(2)
def for_each_visits_items_at_any_depth(lazy: Any) -> Any:
    class M(lazy.ModuleBase):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return x

    seen: list[Any] = []
    flow = lazy.pipeline(M(), inc, lazy.parallel(M(), double))
    flow.for_each(lambda item: isinstance(item, lazy.ModuleBase), seen.append)
    return len(seen)
