"""Random flows against a reference evaluator of ten lines."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rootward.modules import ifs, loop, package, parallel, pipeline, switch, warp

# A flow is written as (kind, parts); a leaf is a number that is added.
leaves = st.integers(-9, 9).map(lambda n: ("add", n))
shapes = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("pipeline"), st.lists(inner, max_size=3)),
        st.tuples(st.just("sum"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("spread"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("warp"), st.lists(inner, min_size=1, max_size=2)),
        st.tuples(st.just("ifs"), st.lists(inner, min_size=2, max_size=2)),
        st.tuples(st.just("switch"), st.lists(inner, min_size=2, max_size=2)),
        st.tuples(st.just("loop"), st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=12,
)


def reference(shape: Any, x: int) -> int:
    """Compute what a flow of this shape returns for a number."""
    kind, parts = shape
    if kind == "add":
        return int(x + parts)
    if kind in {"ifs", "switch"}:
        return reference(parts[0 if x > 0 else 1], x)
    if kind in {"sum", "spread"}:
        return sum(reference(part, x) for part in parts)
    if kind == "warp":
        return sum(reference(("pipeline", parts), each) for each in (x, x + 1))
    for part in parts * (3 if kind == "loop" else 1):
        x = reference(part, x)
    return x


def built(shape: Any) -> Any:
    """Make the flow of this shape, of the kinds that rootward has."""
    kind, parts = shape
    if kind == "add":
        return lambda x: x + parts
    items = [built(part) for part in parts]
    match kind:
        case "pipeline":
            return pipeline(*items)
        case "sum":
            return parallel(*items).sum
        case "spread":
            return pipeline(parallel(*items), lambda *values: sum(values))
        case "warp":
            return pipeline(lambda x: package(x, x + 1), warp(*items).sum)
        case "ifs":
            return ifs(lambda x: x > 0, *items)
        case "switch":
            return switch(lambda x: x > 0, items[0], "default", items[1])
        case _:
            return loop(*items, count=3)


@settings(max_examples=200, deadline=None)
@given(shape=shapes, x=st.integers(-20, 20))
def test_a_flow_computes_what_its_shape_says(shape: Any, x: int) -> None:
    assert built(shape)(x) == reference(shape, x)


@settings(max_examples=50, deadline=None)
@given(shape=shapes, x=st.integers(-20, 20))
def test_a_flow_travels_and_computes_the_same(shape: Any, x: int) -> None:
    import pickle

    import cloudpickle

    assert pickle.loads(cloudpickle.dumps(built(shape)))(x) == reference(shape, x)
