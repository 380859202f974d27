"""Graphs: items along edges."""

from __future__ import annotations

import pickle
import threading

import pytest

from rootward.modules import ActionModule, ModuleBase, graph, package


class Double(ModuleBase):
    def forward(self, value: int) -> int:
        return value * 2


def add(a: int, b: int) -> int:
    return a + b


def diamond() -> graph:
    with graph() as g:
        g.left = Double(name="left")
        g.right = lambda x: x + 1
        g.sum = add
    g.add_edge(g.start_node, ["left", "right"])
    g.add_edge(["left", "right"], "sum")
    g.add_edge("sum", g.end_node)
    return g


def test_items_get_what_comes_along_their_edges() -> None:
    assert diamond()(5) == 16


def test_items_without_an_edge_between_run_at_once() -> None:
    both = threading.Barrier(2)

    def meet(_: int) -> int:
        return both.wait(10) * 0 + 1

    g = graph(a=meet, b=meet)
    g.add_edge(g.start_node, ["a", "b"])
    g.add_edge(["a", "b"], g.end_node)
    assert g(0) == package(1, 1)


def test_a_formatter_and_a_constant() -> None:
    g = graph(total=add)
    g.add_edge("__start__", "total", formatter=lambda x: x["n"])
    g.add_const_edge(10, "total")
    g.add_edge("total", "__end__")
    assert g({"n": 1}) == 11


def test_named_arguments() -> None:
    g = graph(a=lambda x: x, b=lambda x: -x, out=lambda *, p, q: (p, q))
    g.set_node_arg_name([None, None, ["q", "p"]])
    g.add_edge(g.start_node, ["a", "b"])
    g.add_edge(["a", "b"], "out")
    g.add_edge("out", g.end_node)
    assert g(3) == (-3, 3)


def test_its_modules_are_submodules_of_an_action() -> None:
    action = ActionModule(diamond())
    assert [module.name for module in action.submodules] == ["left"]
    assert action(5) == 16


def test_it_looks_like_any_flow() -> None:
    assert repr(diamond()).splitlines()[0] == "<Flow type=Graph items=['left', 'right', 'sum']>"


def test_it_can_be_pickled() -> None:
    g = graph(total=add)
    g.add_edge(g.start_node, "total")
    g.add_const_edge(1, "total")
    g.add_edge("total", g.end_node)
    assert pickle.loads(pickle.dumps(g))(2) == 3


def test_what_comes_after_a_failure_is_never_begun() -> None:
    def broken(_: int) -> int:
        raise ValueError("no")

    begun: list[int] = []
    g = graph(a=broken, b=begun.append)
    g.add_edge(g.start_node, "a")
    g.add_edge("a", "b")
    g.add_edge("b", g.end_node)
    with pytest.raises(ValueError, match="no"):
        g(1)
    assert begun == []


def test_a_circle_is_an_error() -> None:
    g = graph(a=lambda x: x, b=lambda x: x)
    g.add_edge("a", "b")
    g.add_edge("b", ["a", "__end__"])
    with pytest.raises(ValueError, match=r"wait for each other: \['a', 'b'\]"):
        g(1)


def test_an_edge_needs_items_and_is_there_once() -> None:
    g = graph(a=lambda x: x)
    with pytest.raises(ValueError, match="'b' is no item"):
        g.add_edge("a", "b")
    g.add_edge("a", "__end__")
    with pytest.raises(ValueError, match="already"):
        g.add_edge("a", "__end__")


def test_a_graph_without_a_way_to_its_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="end"):
        graph(a=lambda x: x)(1)
