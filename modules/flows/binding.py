"""Arguments bound ahead: `bind(f, 1, _0)`, and how a step of a flow is called.

`_0` to `_9` stand for the arguments that the bound function is called with, `p.input`, `p.kwargs`
and `p.output(item)` for what a flow around it was given or a step of it has returned; a step itself
stands for its output too. A bound flow can be filled in a `with` block like the flow itself.
"""

from __future__ import annotations

from .frames import FlowValue, output_of, value_of
from .items import is_flow
from .packages import Package, arguments_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, Self


class Placeholder:
    """Stands for the argument at `index` that a bound function is called with."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __repr__(self) -> str:
        return f"_{self.index}"


_0, _1, _2, _3, _4, _5, _6, _7, _8, _9 = map(Placeholder, range(10))


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

    def bind(self, *args: Any, **kwargs: Any) -> Bind:
        """Bind more: `f.bind(a).bind(b)` calls what is bound here with those arguments."""
        return Bind(self, *args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with what is bound put in its place; raises TypeError."""
        if self._function is None:
            raise TypeError("bind() holds no function: write bind(f, ...) or f | bind(...)")
        positional = tuple(_placed(self._args, args)) if self._args else args
        bound = {key: _value(value, args) for key, value in self._kwargs.items()}
        return self._function(*positional, **bound, **kwargs)

    # `with parallel().bind(...) as p.q` fills the flow, and the bound flow is the item.

    def __enter__(self) -> Self:
        self._flow().open_block(self)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._flow().close_block(failed=kind is not None)

    def __iter__(self) -> Iterator[Self]:
        self._flow()
        return iter((self, self))

    def __getattr__(self, name: str) -> Any:
        # Pickle and copy ask for more before there is a function.
        if not name.startswith("_") and is_flow(self.__dict__.get("_function")):
            return getattr(self._function, name)
        raise AttributeError(f"a bound {self._title()} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        elif is_flow(self._function):
            setattr(self._function, name, value)
        else:
            raise AttributeError(f"a bound {self._title()} takes no attributes, such as {name!r}")

    def _flow(self) -> Any:
        if not is_flow(self._function):
            raise TypeError(f"only a bound flow has a with block, this is a {self._title()}")
        return self._function

    def _title(self) -> str:
        function = self.__dict__.get("_function")
        return getattr(function, "__name__", None) or type(function).__name__

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
        return value_of(item)
    return output_of(item) if callable(item) else item


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


# The name that flows are written with.
bind = Bind
