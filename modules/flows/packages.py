"""Several values at once: what one step of a flow returns and the next gets as its arguments.

A `Package` becomes the positional arguments of the next step, `Kwargs` the keyword arguments. Both
are plain values otherwise; slices and sums of a package are packages again.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Final, Self


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

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        return packed(part) if isinstance(key, slice) else part

    def __add__(self, other: Any) -> Any:
        total = super().__add__(other)
        return total if total is NotImplemented else packed(total)

    def __getnewargs__(self) -> tuple[tuple[Any, ...]]:
        # One tuple, which `__new__` takes apart: a package of one list stays one.
        return (tuple(self),)


_GENERATOR: Final = type(_ for _ in ())


class Kwargs(dict[str, "Any"]):
    """Values that become the keyword arguments of the next step."""


def packed(values: Iterable[Any]) -> Package:
    """Return a package of exactly these values, also when there is one and it is a list."""
    return tuple.__new__(Package, values)


def one_value(args: tuple[Any, ...]) -> Any:
    """Return a single argument as it is, several as a package."""
    return args[0] if len(args) == 1 else packed(args)


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


# The names that flows are written with.
package = Package
kwargs = Kwargs
