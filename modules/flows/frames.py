"""The running calls of flows, and what stands for their values while a flow is written.

A `Frame` is one call of a flow; the innermost one of this thread or coroutine is `running`, and
each knows the one around it. `p.input`, `p.kwargs` and `p.output(item)` are looked up there when a
bound step runs, so that calls in several threads never mix.
"""

from __future__ import annotations

from contextvars import ContextVar

from .packages import one_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar, Protocol

    class RunningFlow(Protocol):
        """A flow, as its calls see it: its items by place and name."""

        _is_sequence: ClassVar[bool]
        _items: list[Any]
        _names: list[str | None]


class Frame:
    """One running call of a flow: what it was given, and what its steps have returned so far."""

    __slots__ = ("args", "flow", "kwargs", "outer", "outputs")

    def __init__(
        self,
        flow: RunningFlow,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        outer: Frame | None,
    ) -> None:
        self.flow = flow
        self.args = args
        self.kwargs = kwargs
        self.outer = outer
        self.outputs: dict[int, Any] = {}


running: ContextVar[Frame | None] = ContextVar("running", default=None)
"""The innermost call of a flow; threads that run its steps start with a copy of it."""


class FlowValue:
    """Stands for the input, the keywords or one step's output of a flow that is running.

    Attributes and items of it stand for those of the value: `p.input["query"]`, `p.input.text`.
    """

    __slots__ = ("_flow", "_steps", "_unpack", "_what")

    def __init__(
        self,
        flow: RunningFlow,
        what: str | int,
        *,
        unpack: bool = False,
        steps: tuple[tuple[str, Any], ...] = (),
    ) -> None:
        self._flow = flow
        self._what = what  # "input", "kwargs", or the index of a step
        self._unpack = unpack
        self._steps = steps

    def __getattr__(self, name: str) -> FlowValue:
        if name.startswith("_"):
            # Also asked for by pickle and copy, before there is a flow.
            raise AttributeError(name)
        return self._with(("attribute", name))

    def __getitem__(self, key: Any) -> FlowValue:
        return self._with(("item", key))

    # Without it, __getitem__ would make this an endless iterable.
    __iter__ = None

    def _with(self, step: tuple[str, Any]) -> FlowValue:
        return FlowValue(self._flow, self._what, unpack=self._unpack, steps=(*self._steps, step))

    def __repr__(self) -> str:
        return f"<value of {type(self._flow).__name__}: {self._what}>"


def value_of(wanted: FlowValue) -> Any:
    """Return what `wanted` stands for in the running calls; raises RuntimeError outside of them."""
    frame = running.get()
    while frame is not None and frame.flow is not wanted._flow:
        frame = frame.outer
    if frame is None:
        raise RuntimeError(f"{wanted} is used outside of a call of that flow")
    what = wanted._what
    value: Any
    if what == "input":
        value = one_value(frame.args)
    elif what == "kwargs":
        value = frame.kwargs
    elif isinstance(what, int):
        value = _output(frame, what)
    for kind, key in wanted._steps:
        value = getattr(value, key) if kind == "attribute" else value[key]
    return value


def output_of(item: Any) -> Any:
    """Return what `item` has returned in the innermost running sequence that has it as a step.

    Anything that is no step there is returned as it is. Raises RuntimeError for a step that has
    not run yet.
    """
    frame = running.get()
    while frame is not None:
        if frame.flow._is_sequence:
            for index, held in enumerate(frame.flow._items):
                if held is item:
                    return _output(frame, index)
        frame = frame.outer
    return item


def _output(frame: Frame, index: int) -> Any:
    if index in frame.outputs:
        return frame.outputs[index]
    flow = frame.flow
    name = flow._names[index]
    step = f"item {index if name is None else name!r} of a {type(flow).__name__}"
    raise RuntimeError(f"the output of {step} is used before that step has run")
