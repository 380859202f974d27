"""Switch, ifs, loop and graph."""

from __future__ import annotations

from typing import Any

from .cases import add, case, double, gather, inc

# Switch, ifs, loop.


@case(["big", "three", "rest"])
def a_switch_takes_the_first_that_holds(lazy: Any) -> Any:
    flow = lazy.switch(
        lambda x: x > 10, lambda x: "big", 3, lambda x: "three", "default", lambda x: "rest"
    )
    return [flow(20), flow(3), flow(4)]


@case(["one", None])
def a_switch_takes_a_dict(lazy: Any) -> Any:
    flow = lazy.switch({1: lambda x: "one", 2: lambda x: "two"})
    return [flow(1), flow(5)]


@case(["a", "b"])
def a_switch_is_filled_in_a_block(lazy: Any) -> Any:
    with lazy.switch() as s:
        s.case["x" : lambda v: "a"]
        s.case["y", lambda v: "b"]
    return [s("x"), s("y")]


@case([("x", 5), ("y", 6, 7)])
def a_switch_may_judge_on_the_first_value(lazy: Any) -> Any:
    s = lazy.switch(
        "x", lambda v: ("x", v), "y", lambda v, w: ("y", v, w), judge_on_full_input=False
    )
    return [s("x", 5), s("y", 6, 7)]


@case("low")
def a_switch_may_convert(lazy: Any) -> Any:
    return lazy.switch("ab", lambda x: "low", conversion=lambda x: x.lower())("AB")


@case([11, 0])
def ifs_has_two_paths(lazy: Any) -> Any:
    flow = lazy.ifs(lambda x: x > 5, lambda x: x + 1, lambda x: 0)
    return [flow(10), flow(1)]


@case(3)
def the_condition_of_ifs_may_take_nothing(lazy: Any) -> Any:
    return lazy.ifs(lambda: True, inc, double)(2)


@case(16)
def a_loop_ends_on_its_condition(lazy: Any) -> Any:
    return lazy.loop(double, stop_condition=lambda x: x > 10)(1)


@case(8)
def a_loop_ends_on_its_count(lazy: Any) -> Any:
    return lazy.loop(double, count=3)(1)


@case([("package", 5), ("package", 5, 6)])
def a_loop_may_judge_on_the_first_value(lazy: Any) -> Any:
    one = lazy.loop(
        lambda x: lazy.package(True, x),
        stop_condition=lambda done: done,
        judge_on_full_input=False,
    )
    two = lazy.loop(
        lambda x, y: lazy.package(True, x, y),
        stop_condition=lambda done: done,
        judge_on_full_input=False,
    )
    return [one(5), two(5, 6)]


@case([32, [(8, 3, 3), (16, 4, 4)]])
def a_loop_may_raise_its_limit(lazy: Any) -> Any:
    seen: list[Any] = []

    def on_limit(value: Any, rounds: int, limit: int) -> Any:
        seen.append((value, rounds, limit))
        return limit + 1 if limit < 5 and len(seen) < 3 else None

    flow = lazy.loop(double, stop_condition=lambda x: x >= 32, count=3, on_limit=on_limit)
    return [flow(1), seen]


@case([8, [3]])
def a_limit_that_is_kept_ends_the_loop(lazy: Any) -> Any:
    seen: list[Any] = []
    flow = lazy.loop(double, count=3, on_limit=lambda value, rounds, limit: seen.append(rounds))
    return [flow(1), seen]


# Graphs.


@case(9)
def a_graph_runs_along_its_edges(lazy: Any) -> Any:
    with lazy.graph() as g:
        g.a = inc
        g.b = double
        g.c = add
    g.add_edge("__start__", "a")
    g.add_edge("a", "b")
    g.add_edge(["a", "b"], "c")
    g.add_edge("c", "__end__")
    return g(2)


@case(3)
def an_item_without_an_edge_is_left_out(lazy: Any) -> Any:
    with lazy.graph() as g:
        g.a = inc
        g.lonely = lambda: 1 / 0
    g.add_edge(g.start_node, "a")
    g.add_edge("a", g.end_node)
    return g(2)


@case(["__start__", "__end__", "__start__", "__end__"])
def a_graph_names_its_ends(lazy: Any) -> Any:
    with lazy.graph() as g:
        g.a = inc
    return [g.start_node_name, g.end_node_name, g.start_node.name, g.end_node.name]


@case(12)
def a_constant_comes_along_an_edge(lazy: Any) -> Any:
    with lazy.graph() as g:
        g.a = add
    g.add_edge(g.start_node, "a")
    g.add_const_edge(10, "a")
    g.add_edge("a", g.end_node)
    return g(2)


@case(("package", 3, 4))
def two_edges_into_the_end_give_a_package(lazy: Any) -> Any:
    with lazy.graph() as g:
        g.a = inc
        g.b = double
    g.add_edge(g.start_node, ["a", "b"])
    g.add_edge(["a", "b"], g.end_node)
    return g(2)


@case([[1, 2, 3], {}])
def a_package_along_one_of_two_edges_is_spread(lazy: Any) -> Any:
    with lazy.graph() as g:
        g.a = lambda x: lazy.package(x, 2)
        g.b = lambda x: 3
        g.c = gather
    g.add_edge(g.start_node, ["a", "b"])
    g.add_edge(["a", "b"], "c")
    g.add_edge("c", g.end_node)
    return g(1)


@case(["__start__", "a", "b", "c", "__end__"])
def a_graph_is_sorted(lazy: Any) -> Any:
    with lazy.graph() as g:
        g.c = add
        g.b = double
        g.a = inc
        g.lonely = inc
    g.add_edge(g.start_node, "a")
    g.add_edge("a", "b")
    g.add_edge(["a", "b"], "c")
    g.add_edge("c", g.end_node)
    return [node.name for node in g.topological_sort()]


@case(6)
def an_edge_may_have_a_formatter(lazy: Any) -> Any:
    with lazy.graph() as g:
        g.a = inc
    g.add_edge(g.start_node, "a", lambda x: x["n"])
    g.add_edge("a", g.end_node, double)
    return g({"n": 2})


@case("error")
def a_circle_is_an_error(lazy: Any) -> Any:
    with lazy.graph() as g:
        g.a = inc
        g.b = inc
    g.add_edge(["a"], "b")
    g.add_edge("b", "a")
    g.add_edge("b", g.end_node)
    return g(1)


@case({"p": 2, "q": 4})
def a_graph_names_arguments(lazy: Any) -> Any:
    with lazy.graph() as g:
        g.a = inc
        g.b = double
        g.c = lambda *, p, q: {"p": p, "q": q}
    g.set_node_arg_name([None, None, ["p", "q"]])
    g.add_edge(g.start_node, "a")
    g.add_edge("a", ["b", "c"])
    g.add_edge("b", "c")
    g.add_edge("c", g.end_node)
    return g(1)
