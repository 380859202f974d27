"""What goes between the steps of a flow: several values at once, and arguments bound ahead.

A `package` or `kwargs` that one step returns is unpacked into the arguments of the next.  `bind`
fixes arguments of a step, in which `_0` to `_9` stand for those that it is called with, and
`p.input` or `p.output(item)` for what a flow around it was given or a step of it has returned.
Values of a flow are looked up in the running call, so that calls in several threads never mix.
"""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, Final, Self

    from .flow import Flow


class Package(tuple["Any", ...]):
    """Several values that become the positional arguments of the next step.

    `package(1, 2)`, or `package([1, 2])` for the items of one list, tuple or generator.
    """

    __slots__ = ()

    def __new__(cls, *values: Any) -> Self:
        """Take the values, or those of the one list, tuple or generator."""
        if len(values) == 1 and isinstance(values[0], (tuple, list, _GENERATOR)):
            values = tuple(values[0])
        return super().__new__(cls, values)

    def __getnewargs__(self) -> tuple[tuple[Any, ...]]:
        # One tuple, which `__new__` takes apart: a package of one list stays one.
        return (tuple(self),)


_GENERATOR: Final = type(_ for _ in ())


class Kwargs(dict[str, "Any"]):
    """Values that become the keyword arguments of the next step."""


class Placeholder:
    """Stands for the argument at `index` that a bound function is called with."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __repr__(self) -> str:
        return f"_{self.index}"


_0, _1, _2, _3, _4, _5, _6, _7, _8, _9 = map(Placeholder, range(10))


class Frame:
    """One running call of a flow: what it was given, and what its steps have returned so far."""

    __slots__ = ("args", "flow", "kwargs", "outer", "outputs")

    def __init__(
        self, flow: Flow, args: tuple[Any, ...], kwargs: Mapping[str, Any], outer: Frame | None
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
        flow: Flow,
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


class Bind:
    """A function with arguments bound ahead: `bind(f, 1, _0)` or `f | bind(1, _0)`.

    With positional arguments bound it gets these and no others; `_0` to `_9` say where those of
    the call go. With none it gets those of the call. Keywords of both are joined.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and callable(args[0]):
            self._function: Callable[..., Any] | None = args[0]
            args = args[1:]
        else:
            self._function = None
        self._args = args
        self._kwargs = kwargs

    def __ror__(self, function: Any) -> Bind:
        if not callable(function):
            return NotImplemented
        args = self._args if self._function is None else (self._function, *self._args)
        bound = Bind(function, *args, **self._kwargs)
        if isinstance(function, type):
            # A class is bound as what makes the object, never taken for an argument.
            bound._function = function
        return bound

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with what is bound put in its place; raises TypeError."""
        if self._function is None:
            raise TypeError("bind() holds no function: write bind(f, ...) or f | bind(...)")
        positional = tuple(_placed(self._args, args)) if self._args else args
        bound = {key: _value(value, args) for key, value in self._kwargs.items()}
        return self._function(*positional, **bound, **kwargs)

    def _modules_inside(self) -> Iterator[tuple[str | None, object]]:
        """Yield what may be or hold modules, for the walk of a tree."""
        for value in (self._function, *self._args, *self._kwargs.values()):
            yield None, value

    def _outline(self) -> tuple[str, Sequence[object]]:
        from ..display import make_repr, own_line

        below = getattr(type(self._function), "_outline", None)
        line = make_repr("Bind", "Bind") if self._function is None else own_line(self._function)
        return line, below(self._function)[1] if below else ()

    def __repr__(self) -> str:
        from ..display import draw

        return draw(self)


def _placed(bound: Sequence[Any], args: Sequence[Any]) -> Iterator[Any]:
    for item in bound:
        value = _value(item, args)
        if isinstance(item, FlowValue) and item._unpack and isinstance(value, Package):
            yield from value
        else:
            yield value


def _value(item: Any, args: Sequence[Any]) -> Any:
    if isinstance(item, Placeholder):
        if item.index >= len(args):
            raise TypeError(f"{item} stands for argument {item.index + 1}, {len(args)} were given")
        return args[item.index]
    if isinstance(item, FlowValue):
        return _of_running(item)
    return item


def _of_running(wanted: FlowValue) -> Any:
    frame = running.get()
    while frame is not None and frame.flow is not wanted._flow:
        frame = frame.outer
    if frame is None:
        raise RuntimeError(f"{wanted} is used outside of a call of that flow")
    what = wanted._what
    value: Any
    if what == "input":
        value = frame.args[0] if len(frame.args) == 1 else Package(*frame.args)
    elif what == "kwargs":
        value = frame.kwargs
    elif what in frame.outputs:
        value = frame.outputs[what]
    else:
        raise RuntimeError(f"{wanted} is used before that step has run")
    for kind, key in wanted._steps:
        value = getattr(value, key) if kind == "attribute" else value[key]
    return value


def arguments_of(value: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that one value stands for: those in a package or kwargs, else itself."""
    if isinstance(value, Package):
        return tuple(value), {}
    if isinstance(value, Kwargs):
        return (), dict(value)
    return (value,), {}


def spread(args: tuple[Any, ...]) -> Sequence[Any]:
    """Return the items of a single list or tuple, else the arguments themselves."""
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        return args[0]
    return args


def call_with(function: Callable[..., Any], value: Any, kwargs: Mapping[str, Any]) -> Any:
    """Call `function` with what `value` stands for and wait for its result."""
    args, more = arguments_of(value)
    return resolved(function(*args, **more, **kwargs))


def resolved(result: Any) -> Any:
    """Return what a coroutine results in, anything else as it is."""
    if type(result).__name__ != "coroutine":
        return result
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(result)
    # The loop of this thread is busy with the caller: this coroutine needs one of its own.
    from ..processes.threads import run_all

    return run_all([lambda: asyncio.run(result)], what="an async step", limit=1, apart=True)[0]


# The names that flows are written with.
bind = Bind
package = Package
kwargs = Kwargs
