"""Flows that choose one of their items: switch and ifs.

The chosen item gets the whole input, unless the flow was told to judge on its first value alone.
All items are part of the tree, whichever will be chosen.
"""

from __future__ import annotations

from .binding import call_with, resolved
from .flow import Flow
from .packages import arguments_of, one_value, packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    from .frames import Frame

_DEFAULT: Final = "default"
# Of a code object: it has *args.
_TAKES_ANY: Final = 0x04


class Switch(Flow):
    """Runs the item of the first condition that holds for the input.

    Conditions and items alternate, or stand in a dict: `switch(cond, f, cond, g, "default", h)`,
    `switch({cond: f}, default=h)`, or within `with switch() as s:` as `s.case[cond:f]`. A condition
    is a function of the input, or a value that equals it. `conversion` makes what is judged of the
    input; without `judge_on_full_input` the first of several values is judged and the rest goes to
    the item. Without a match and a default the result is None.
    """

    def __init__(
        self,
        *cases: Any,
        default: Callable[..., Any] | None = None,
        conversion: Callable[[Any], Any] | None = None,
        judge_on_full_input: bool = True,
        **options: Any,
    ) -> None:
        if len(cases) == 1 and isinstance(cases[0], dict):
            cases = tuple(part for case in cases[0].items() for part in case)
        if len(cases) % 2:
            raise TypeError("a switch takes pairs of a condition and an item")
        super().__init__(**options)
        self._conditions: list[Any] = []
        self._conversion = conversion
        self._judge_on_full_input = judge_on_full_input
        for condition, item in zip(cases[::2], cases[1::2], strict=True):
            self._add_case(condition, item)
        if default is not None:
            self._add_case(_DEFAULT, default)

    @property
    def case(self) -> Case:
        """Add a case: `s.case[cond:item]`, `s.case[cond, item]` or `s.case(cond, item)`."""
        return Case(self)

    def _add_case(self, condition: Any, item: Any) -> None:
        self._add(None, item)
        self._conditions.append(condition)

    def _add(self, name: str | None, item: Any) -> None:
        if name is not None:
            raise AttributeError(
                f"a switch has no items by name, so {name!r} can't be one: write case[cond:item]"
            )
        super()._add(None, item)

    def _run(self, frame: Frame) -> Any:
        args, kwargs = frame.args, frame.kwargs
        judged = one_value(args)
        if not self._judge_on_full_input:
            judged, rest = _split(judged)
            args, _ = arguments_of(rest)
        if self._conversion is not None:
            judged = call_with(self._conversion, judged, {})
        index = self._choose(judged)
        if index is None:
            return None
        result = frame.outputs[index] = resolved(self._items[index](*args, **kwargs))
        return result

    def _choose(self, judged: Any) -> int | None:
        default = None
        for index, condition in enumerate(self._conditions):
            if isinstance(condition, str) and condition == _DEFAULT:
                default = index
            elif call_with(condition, judged, {}) if callable(condition) else condition == judged:
                return index
        return default

    def _modules_inside(self) -> Iterator[tuple[str | None, object]]:
        yield from super()._modules_inside()
        for part in (*self._conditions, self._conversion):
            yield None, part


class Case:
    """Adds one case to a switch."""

    __slots__ = ("_switch",)

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def __call__(self, condition: Any, item: Any) -> None:
        """Add the case."""
        self._switch._add_case(condition, item)

    def __getitem__(self, case: Any) -> None:
        if isinstance(case, slice):
            # case[cond:item], and case[cond::item] as it is written too.
            self(case.start, case.stop if case.step is None else case.step)
        else:
            self(*case)


class IFS(Flow):
    """Runs `tpath` when the condition holds for the input, else `fpath`.

    The condition is a function of the input, a function without arguments, or a value. Without
    `fpath` the input is returned as it came.
    """

    def __init__(
        self,
        cond: Any,
        tpath: Callable[..., Any],
        fpath: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*[tpath] if fpath is None else (tpath, fpath), **options)
        self._condition = cond

    def _run(self, frame: Frame) -> Any:
        args, kwargs = frame.args, frame.kwargs
        index = 0 if self._holds(args, kwargs) else 1
        if index == len(self._items):
            return one_value(args)
        result = frame.outputs[index] = resolved(self._items[index](*args, **kwargs))
        return result

    def _holds(self, args: tuple[Any, ...], kwargs: Any) -> bool:
        condition = self._condition
        if not callable(condition):
            return bool(condition)
        code = getattr(condition, "__code__", None)
        if code is not None and not code.co_argcount and not code.co_flags & _TAKES_ANY:
            return bool(resolved(condition()))
        return bool(resolved(condition(*args, **kwargs)))

    def _modules_inside(self) -> Iterator[tuple[str | None, object]]:
        yield from super()._modules_inside()
        yield None, self._condition


def _split(value: Any) -> tuple[Any, Any]:
    """Part the first value, which is judged, from the rest, which the item gets."""
    if not isinstance(value, (tuple, list)) or len(value) < 2:
        raise ValueError(
            "this Switch judges on the first of several values (judge_on_full_input=False), it got "
            f"{value!r:.100}"
        )
    return value[0], value[1] if len(value) == 2 else packed(value[1:])


# The names that flows are written with.
switch = Switch
ifs = IFS
