"""Flows: functions and modules as steps of one bigger function.

A flow holds its items in order, under names or without; names are given as keywords, or as
attributes within `with pipeline() as p:`.  This file owns what all flows share and those that run
their items one after another; `fanout` has those that run them side by side, `branching` those that
choose.  A flow keeps nothing between calls, so that any number of threads may call it.
"""

from __future__ import annotations

from ..module import ModuleBase
from .binding import (
    FlowValue,
    Frame,
    Package,
    arguments_of,
    call_with,
    resolved,
    running,
    spread,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Self


class Flow:
    """What all flows share: their items, how these are named, and the frame of a running call.

    Items are callables, or one list of them; `post_action` gets each result, for its effect only.
    Raises TypeError for an item that can't be called.
    """

    # Until __init__ has run, and for the attribute look-ups of pickle and copy.
    _capturing = False
    _names: list[str | None] = []  # noqa: RUF012 - always replaced before it is added to

    def __init__(
        self, *items: Any, post_action: Callable[[Any], Any] | None = None, **named: Any
    ) -> None:
        self._items: list[Callable[..., Any]] = []
        self._names = []
        self._post_action = post_action
        for item in spread(items):
            self._add(None, item)
        for name, item in named.items():
            self._add(name, item)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the flow; one package or kwargs as the only argument is unpacked."""
        if len(args) == 1:
            args, more = arguments_of(args[0])
            kwargs = {**more, **kwargs}
        frame = Frame(self, args, kwargs, running.get())
        token = running.set(frame)
        try:
            result = self._run(frame)
            if self._post_action is not None:
                call_with(self._post_action, result, {})
        finally:
            running.reset(token)
        return result

    def _run(self, frame: Frame) -> Any:
        raise NotImplementedError

    @property
    def input(self) -> Any:
        """Stands in `bind` for what this flow was called with: one value, or a package of them."""
        return FlowValue(self, "input")

    @property
    def kwargs(self) -> Any:
        """Stands in `bind` for the keywords that this flow was called with."""
        return FlowValue(self, "kwargs")

    def output(self, item: Any, unpack: bool = False) -> Any:
        """Stands in `bind` for what an item of this flow, or the one of that name, has returned.

        `unpack` spreads a package into several arguments.  Raises ValueError for anything else.
        """
        for index, (name, held) in enumerate(zip(self._names, self._items, strict=True)):
            if held is item or (isinstance(item, str) and name == item):
                return FlowValue(self, index, unpack=unpack)
        raise ValueError(f"{item!r} is no item of this {type(self).__name__}: {self._named()}")

    def __enter__(self) -> Self:
        self._capturing = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._capturing = False

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or not (self._capturing or name in self._names):
            object.__setattr__(self, name, value)
        elif name in self._names:
            self._items[self._names.index(name)] = _callable_item(self, name, value)
        else:
            self._add(name, value)

    def __getattr__(self, name: str) -> Any:
        if name in self._names:
            return self._items[self._names.index(name)]
        raise AttributeError(
            f"this {type(self).__name__} has no attribute or item {name!r}: {self._named()}"
        )

    def __delattr__(self, name: str) -> None:
        if name in self._names:
            index = self._names.index(name)
            del self._items[index], self._names[index]
        else:
            object.__delattr__(self, name)

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        # A flow without items is a flow all the same.
        return True

    def _add(self, name: str | None, item: Any) -> None:
        if name is not None and hasattr(type(self), name):
            raise ValueError(
                f"no item of a {type(self).__name__} can be called {name!r}: flows have that "
                "attribute already"
            )
        self._items.append(_callable_item(self, name or len(self._items), item))
        self._names.append(name)

    def _named(self) -> str:
        names = [name for name in self._names if name is not None]
        return f"its names are {names}" if names else "its items have no names"

    def _modules_inside(self) -> Iterator[tuple[str | None, object]]:
        """Yield (name, item) of what may be or hold modules, for the walk of a tree."""
        yield from zip(self._names, self._items, strict=True)
        yield None, self._post_action

    def _outline(self) -> tuple[str, Sequence[object]]:
        from ..display import make_repr

        return make_repr("Flow", type(self), attrs=self._attributes()), self._items

    def _attributes(self) -> dict[str, Any]:
        return {"items": [name for name in self._names if name is not None]}

    def __repr__(self) -> str:
        from ..display import draw

        return draw(self)


def _callable_item(flow: Flow, where: str | int, item: Any) -> Callable[..., Any]:
    if isinstance(item, type) and issubclass(item, (ModuleBase, Flow)):
        item = item()
    if not callable(item):
        raise TypeError(f"item {where!r} of a {type(flow).__name__} can't be called: {item!r:.100}")
    checked: Callable[..., Any] = item
    return checked


class Pipeline(Flow):
    """Runs its items one after another, each with what the one before has returned.

    The first item gets all arguments, also the keywords.
    """

    def _run(self, frame: Frame) -> Any:
        return self._run_once(frame, frame.args, frame.kwargs)

    def _run_once(self, frame: Frame, args: tuple[Any, ...], kwargs: Any) -> Any:
        if not self._items:
            return args[0] if len(args) == 1 else Package(*args)
        value = frame.outputs[0] = resolved(self._items[0](*args, **kwargs))
        for index, item in enumerate(self._items[1:], 1):
            value = frame.outputs[index] = call_with(item, value, {})
        return value


class Loop(Pipeline):
    """Runs its items as a pipeline, again and again with their own result.

    It ends after `count` rounds, or when `stop_condition` of the result is true.  Without
    `judge_on_full_input` the condition gets the first value of the result, and the rest goes on.
    Raises ValueError when neither end is given.
    """

    def __init__(
        self,
        *items: Any,
        stop_condition: Callable[..., Any] | None = None,
        count: int | None = None,
        judge_on_full_input: bool = True,
        post_action: Callable[[Any], Any] | None = None,
        **named: Any,
    ) -> None:
        if stop_condition is None and count is None:
            raise ValueError("this loop would never end: give it a stop_condition or a count")
        if stop_condition is not None and not callable(stop_condition):
            raise TypeError(f"stop_condition can't be called: {stop_condition!r:.100}")
        super().__init__(*items, post_action=post_action, **named)
        self._stop_condition = stop_condition
        self._count = count
        self._judge_on_full_input = judge_on_full_input

    def _run(self, frame: Frame) -> Any:
        args, kwargs = frame.args, frame.kwargs
        value: Any = args[0] if len(args) == 1 else Package(*args)
        done = 0
        while self._count is None or done < self._count:
            value = self._run_once(frame, args, kwargs)
            done += 1
            judged = value
            if not self._judge_on_full_input:
                judged, value = split_judged(self, value)
            if self._stop_condition is not None and call_with(self._stop_condition, judged, {}):
                break
            args, kwargs = arguments_of(value)
        return value

    def _modules_inside(self) -> Iterator[tuple[str | None, object]]:
        yield from super()._modules_inside()
        yield "stop_condition", self._stop_condition


def split_judged(flow: Flow, value: Any) -> tuple[Any, Any]:
    """Part what a condition is asked about from what goes on; raises ValueError."""
    if not isinstance(value, (tuple, list)) or len(value) < 2:
        raise ValueError(
            f"this {type(flow).__name__} judges on the first of several values "
            f"(judge_on_full_input=False), it got {value!r:.100}"
        )
    return value[0], value[1] if len(value) == 2 else Package(*value[1:])


# The names that flows are written with.
pipeline = Pipeline
loop = Loop
