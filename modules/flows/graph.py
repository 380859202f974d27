"""Graph: a flow whose items are joined by edges, each run as soon as all before it have ended.

Items are named as in any flow; edges lead from the start through them to the end. An item with one
edge gets what comes along it, one with several gets an argument for each in the order in which they
were added; an item without any edge is left out. Edges are checked when they are added and the
whole when it is called, so that nothing runs of a graph that holds a circle or never ends.
"""

from __future__ import annotations

from ..processes.threads import run_all
from .binding import call_with, resolved
from .flow import Flow
from .packages import Kwargs, Package, one_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, ClassVar, Final

    from .frames import Frame

START: Final = "__start__"
END: Final = "__end__"


class GraphNode:
    """A place of a graph as users see it: its start, its end, or an item by its name."""

    __slots__ = ("name",)

    def __init__(self, name: int | str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<Flow type=Node name={self.name}>"


class Graph(Flow):
    """Runs its items along edges: `g.add_edge(g.start_node, "a")`, `g.add_edge("a", g.end_node)`.

    What has no edge between runs at once, in threads. The result is what arrives at the end: one
    value, or a package of several in the order of their edges. An item is meant by its name, by its
    place, or by itself.
    """

    start_node_name: ClassVar[str] = START
    end_node_name: ClassVar[str] = END

    def __init__(self, *items: Any, **named: Any) -> None:
        self._edges: dict[int | str, list[_Edge]] = {}
        self._arguments: dict[int | str, Sequence[str]] = {}
        super().__init__(*items, **named)

    @property
    def start_node(self) -> GraphNode:
        """Where the input of the graph is."""
        return GraphNode(START)

    @property
    def end_node(self) -> GraphNode:
        """What arrives here is the result."""
        return GraphNode(END)

    def add_edge(
        self, from_node: Any, to_node: Any, formatter: Callable[[Any], Any] | None = None
    ) -> None:
        """Lead what `from_node` returns, through `formatter`, to `to_node`; lists are all of them.

        Raises ValueError for what is no item here, and for an edge that is there already.
        """
        if formatter is not None and not callable(formatter):
            raise TypeError(f"formatter can't be called: {formatter!r:.100}")
        for source in from_node if isinstance(from_node, (list, tuple)) else [from_node]:
            for target in to_node if isinstance(to_node, (list, tuple)) else [to_node]:
                self._join(self._key(source), self._key(target), formatter)

    def add_const_edge(self, constant: Any, to_node: Any) -> None:
        """Give `to_node` one more argument that is the same in every call."""
        for target in to_node if isinstance(to_node, (list, tuple)) else [to_node]:
            self._edges.setdefault(self._key(target), []).append(_Edge(None, None, constant))

    def set_node_arg_name(self, arg_names: Sequence[Sequence[str] | None]) -> None:
        """Name the arguments of the items, in the order of these: they get them as keywords."""
        for key, names in zip(self._keys(), arg_names, strict=False):
            if names:
                self._arguments[key] = [names] if isinstance(names, str) else list(names)

    def _join(self, source: int | str, target: int | str, formatter: Any) -> None:
        if source == END or target == START:
            raise ValueError("no edge of a graph leads from its end or to its start")
        edges = self._edges.setdefault(target, [])
        if any(edge.source == source for edge in edges):
            raise ValueError(f"this graph has an edge from {source!r} to {target!r} already")
        edges.append(_Edge(source, formatter, None))

    def _keys(self) -> list[int | str]:
        return [index if name is None else name for index, name in enumerate(self._names)]

    def topological_sort(self) -> list[GraphNode]:
        """Return the start, the items that have an edge and the end, in an order to run in.

        Raises ValueError for a circle.
        """
        return [GraphNode(key) for key in (START, *self._order(), END)]

    def _key(self, node: Any) -> int | str:
        if isinstance(node, GraphNode):
            node = node.name
        for place in (START, END):
            if isinstance(node, str) and node == place:
                return place
        keys = self._keys()
        for key, item in zip(keys, self._items, strict=True):
            if item is node or (isinstance(node, (str, int)) and key == node):
                return key
        raise ValueError(f"{node!r} is no item of this graph: {self._named()}")

    def _joined(self) -> list[int | str]:
        """Return the items that an edge from or to another place leads to; constants are none."""
        joined = {
            place
            for target, edges in self._edges.items()
            for edge in edges
            if edge.source is not None
            for place in (edge.source, target)
        }
        return [key for key in self._keys() if key in joined]

    def _order(self) -> list[int | str]:
        """Return the items that run, in an order in which they could; raises ValueError."""
        order: list[int | str] = []
        left = dict.fromkeys(self._joined())
        while left:
            free = [key for key in left if not any(edge.source in left for edge in self._to(key))]
            if not free:
                raise ValueError(f"these items of a graph wait for each other: {list(left)}")
            order += free
            for key in free:
                del left[key]
        return order

    def _to(self, key: int | str) -> Sequence[_Edge]:
        return self._edges.get(key, ())

    def _run(self, frame: Frame) -> Any:
        import threading

        if not self._edges.get(END):
            raise ValueError("nothing leads to the end of this graph: add_edge(..., g.end_node)")
        order, keys = self._order(), self._keys()
        given = one_value(frame.args)
        results: dict[int | str | None, Any] = {START: given}
        ended = {key: threading.Event() for key in order}

        def branch(key: int | str) -> Callable[[], None]:
            def run() -> None:
                try:
                    sources = [edge.source for edge in self._to(key) if edge.source in ended]
                    for source in sources:
                        ended[source].wait()
                    # What comes after a failure is never begun; the failure itself is raised.
                    if all(source in results for source in sources):
                        results[key] = self._compute(key, keys.index(key), results, frame.kwargs)
                finally:
                    ended[key].set()

            return run

        run_all([branch(key) for key in order], what="graph", limit=len(order))
        frame.outputs.update((keys.index(key), results[key]) for key in order)
        args, named = _together([edge.of(results) for edge in self._to(END)])
        if named:
            raise ValueError(f"keywords can't be the result of a graph: {list(named)}")
        return one_value(args)

    def _compute(
        self,
        key: int | str,
        index: int,
        results: Mapping[int | str | None, Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        edges = self._to(key)
        args, named = _together([edge.of(results) for edge in edges])
        # The keywords of the call belong to its input.
        if any(edge.source == START for edge in edges):
            named = {**named, **kwargs}
        if names := self._arguments.get(key):
            named, args = {**dict(zip(names, args, strict=True)), **named}, ()
        return resolved(self._items[index](*args, **named))

    def _modules_inside(self) -> Iterator[tuple[str | None, object]]:
        yield from super()._modules_inside()
        for edges in self._edges.values():
            for edge in edges:
                yield None, edge.formatter


class _Edge:
    """Where an argument comes from, and what is made of it; without a source it is a constant."""

    __slots__ = ("constant", "formatter", "source")

    def __init__(self, source: int | str | None, formatter: Any, constant: Any) -> None:
        self.source = source
        self.formatter = formatter
        self.constant = constant

    def of(self, results: Mapping[int | str | None, Any]) -> Any:
        if self.source is None:
            return self.constant
        value = results[self.source]
        return value if self.formatter is None else call_with(self.formatter, value, {})


def _together(values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put what comes along several edges together: packages and kwargs count as what is in them."""
    args: list[Any] = []
    named: dict[str, Any] = {}
    for value in values:
        if isinstance(value, Package):
            args += value
        elif isinstance(value, Kwargs):
            if twice := named.keys() & value.keys():
                raise ValueError(f"two edges of a graph bring the keywords {sorted(twice)}")
            named.update(value)
        else:
            args.append(value)
    return tuple(args), named


# The name that flows are written with.
graph = Graph
