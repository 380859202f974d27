"""What LazyLLM's users know of its flows, case by case: a program and what comes out of it.

Each case gets `lazy`, which is rootward or lazyllm, and returns a value. Where the two differ on
purpose the case has both values and the reason. Packages are told from tuples by `shape`; an
exception counts as "error", whatever its class: the two have different ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

SAME: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One program, what it gives here, and what it gives with lazyllm."""

    name: str
    run: Callable[[Any], Any]
    expected: Any
    lazyllm: Any
    why: str


CASES: list[Case] = []


def case(expected: Any, *, lazyllm: Any = SAME, why: str = "") -> Any:
    """Add a function to the table; `lazyllm` with `why` is what differs there."""

    def add(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        theirs = expected if lazyllm is SAME else lazyllm
        name = function.__name__
        CASES.append(Case(name=name, run=function, expected=expected, lazyllm=theirs, why=why))
        return function

    return add


def shape(lazy: Any, value: Any) -> Any:
    """Return the value with packages marked, at any depth."""
    if isinstance(value, lazy.package):
        return ("package", *(shape(lazy, each) for each in value))
    if type(value) in (list, tuple):
        return type(value)(shape(lazy, each) for each in value)
    if type(value) is dict:
        return {key: shape(lazy, each) for key, each in value.items()}
    return value


def outcome(lazy: Any, run: Callable[[Any], Any]) -> Any:
    """Return the shape of what a case returns, or "error"."""
    try:
        return shape(lazy, run(lazy))
    except Exception:
        return "error"


def inc(x: Any) -> Any:
    return x + 1


def double(x: Any) -> Any:
    return x * 2


def add(a: Any, b: Any) -> Any:
    return a + b


def gather(*args: Any, **kwargs: Any) -> Any:
    return [list(args), kwargs]


class Callable7:
    def __call__(self, x: Any) -> Any:
        return x + 7
