"""The items of a flow: in order, under names or without, written as arguments or in a `with` block.

This file owns what can be an item, what it is called, and where a flow stands among others. What a
flow does with its items is each kind's own.
"""

from __future__ import annotations

from .block import close_block, open_block
from .packages import spread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Self

    from .block import Block

# What reads a value of the flow, so that no item can stand there.
_VALUES = frozenset({"input", "kwargs", "output", "name", "is_root", "ancestor"})


class Items:
    """Holds items by place and by name; an attribute that is set in a `with` block is one."""

    # Until __init__ has run, and for the attribute look-ups of pickle and copy.
    _block: Block | None = None
    _father: Items | None = None
    _id: str | None = None
    _names: list[str | None] = []  # noqa: RUF012 - always replaced before it is added to
    _auto_capture = False

    def __init__(self, items: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._items: list[Callable[..., Any]] = []
        self._names = []
        for item in spread(items):
            self._add(None, item)
        for name, item in named.items():
            self._add(name, item)

    # Where it stands.

    def id(self, item: Any = None) -> str:
        """Return the identifier of this flow, or of an item of it; a text is returned as it is."""
        if isinstance(item, str):
            return item
        if self._id is None:
            from uuid import uuid4

            self._id = uuid4().hex
        return self._id if item is None else f"{self._id}-{self._index_of(item)}"

    @property
    def is_root(self) -> bool:
        """Whether this flow is no item of another."""
        return self._father is None

    @property
    def ancestor(self) -> Items:
        """The outermost flow that this one is in, at any depth; itself if it is in none."""
        flow = self
        while flow._father is not None:
            flow = flow._father
        return flow

    def for_each(self, filter: Callable[[Any], Any], action: Callable[[Any], Any]) -> None:  # noqa: A002
        """Call `action` with each item for which `filter` holds; in place of a flow its items."""
        for item in self._items:
            if is_flow(item):
                item.for_each(filter, action)  # type: ignore[attr-defined]
            elif filter(item):
                action(item)

    # The `with` block.

    def open_block(self, named: Any) -> None:
        """Begin a `with` block in the function two calls above; `named` stands behind its `as`."""
        import sys

        self._block = open_block(self, named, sys._getframe(2))

    def close_block(self, *, failed: bool) -> None:
        """End the `with` block; `failed` says that an exception ends it."""
        block, self._block = self._block, None
        if block is not None:
            close_block(block, captures=self._auto_capture and not failed)

    def __enter__(self) -> Self:
        self.open_block(self)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.close_block(failed=kind is not None)

    def __iter__(self) -> Iterator[Self]:
        # `with pipeline() as (p.q, q):` names one flow twice.
        return iter((self, self))

    # Names as attributes.

    def __setattr__(self, name: str, value: Any) -> None:
        block = self._block
        is_item = (block is not None and _could_be_item(name, value)) or name in self._names
        if name.startswith("_") or not is_item:
            object.__setattr__(self, name, value)
            return
        if block is not None:
            block.give(name)
            _take_name(value, name)
        if name in self._names:
            self._put(self._names.index(name), made_item(self, name, value))
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
            vars(self).pop(name, None)
            if self._block is not None:
                self._block.forget(name)
        else:
            object.__delattr__(self, name)

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        # A flow without items is a flow all the same.
        return True

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled; the flow around this one takes it in again itself."""
        return {key: value for key, value in vars(self).items() if key not in {"_block", "_father"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        for item in self._items:
            self._adopt(item)

    def _add(self, name: str | None, item: Any) -> None:
        if name in _VALUES:
            raise ValueError(
                f"no item of a {type(self).__name__} can be called {name!r}: flows have that "
                "attribute already"
            )
        made = made_item(self, name or len(self._items), item)
        self._names.append(name)
        self._items.append(made)
        self._put(len(self._items) - 1, made)

    def _put(self, index: int, item: Any) -> None:
        self._items[index] = item
        self._adopt(item)
        name = self._names[index]
        # An item may be called like a method, such as `start`: its name means the item then.
        if name is not None and hasattr(type(self), name):
            vars(self)[name] = item

    def _adopt(self, item: Any) -> None:
        inside = getattr(item, "_function", item)
        if isinstance(inside, Items):
            inside._father = self

    def _index_of(self, item: Any) -> int:
        for index, (name, held) in enumerate(zip(self._names, self._items, strict=True)):
            if held is item or (isinstance(item, str) and name == item):
                return index
        raise ValueError(f"{item!r} is no item of this {type(self).__name__}: {self._named()}")

    def _named(self) -> str:
        names = [name for name in self._names if name is not None]
        return f"its names are {names}" if names else "its items have no names"

    # How the rest of rootward sees them.

    def _modules_inside(self) -> Iterator[tuple[str | None, object]]:
        """Yield (name, item) of what may be or hold modules, for the walk of a tree."""
        yield from zip(self._names, self._items, strict=True)

    def _outline(self) -> tuple[str, Sequence[object]]:
        from ..display import make_repr

        return make_repr("Flow", type(self), attrs=self._attributes()), self._items

    def _attributes(self) -> dict[str, Any]:
        return {"items": [name for name in self._names if name is not None]}

    def __repr__(self) -> str:
        from ..display import draw

        return draw(self)


def is_flow(value: object) -> bool:
    """Whether the value is a flow; a bound flow is none."""
    return isinstance(value, Items)


def made_item(flow: Items, where: str | int, item: Any) -> Callable[..., Any]:
    """Return what runs as the item: of a class whose objects can be called an object, else itself.

    Raises TypeError for what can't be called, and for a class that needs arguments.
    """
    if isinstance(item, type) and _makes_callables(item):
        try:
            item = item()
        except TypeError as error:
            raise TypeError(
                f"item {where!r} of a {type(flow).__name__}: no {item.__name__} can be made "
                f"without arguments; give an object of it ({error})"
            ) from error
    if not callable(item):
        hint = _near_option(type(flow), where) if isinstance(where, str) else ""
        raise TypeError(
            f"item {where!r} of a {type(flow).__name__} can't be called: {item!r:.100}{hint}"
        )
    checked: Callable[..., Any] = item
    return checked


def _could_be_item(name: str, value: Any) -> bool:
    return name != "name" or callable(value)


def _makes_callables(cls: type) -> bool:
    # A class as such can always be called: what counts is what its objects can.
    return not issubclass(cls, type) and any("__call__" in vars(base) for base in cls.__mro__)


def _near_option(cls: type, name: str) -> str:
    import difflib
    import inspect

    options = [
        parameter.name
        for base in cls.__mro__
        if issubclass(base, Items) and base is not Items and "__init__" in vars(base)
        for parameter in inspect.signature(base.__init__).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    near = difflib.get_close_matches(name, options, 2)
    return (
        f"; as an option there is {' or '.join(near)}"
        if near
        else f"; and the options are {', '.join(sorted(set(options)))}"
    )


def _take_name(value: Any, name: str) -> None:
    """Name a module that has no name yet after the item that it becomes."""
    value = getattr(value, "_function", value)
    if not is_flow(value) and hasattr(type(value), "submodules") and value.name is None:
        value.name = name
