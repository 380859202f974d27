"""The account of an evaluation: plain data beside the result, for whoever shows it.

It needs none of the user's classes: the result as JSON where it has such a form, its repr, and how
many items of how many have failed in what time. It is state of the module like the result itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

ACCOUNT: Final = "_evaluation"
"""The attribute in which an evaluation leaves its account: plain data, shown beside the result."""
_LONGEST_RESULT: Final = 1 << 20
_LONGEST_REPR: Final = 200


def account_of(result: Any) -> dict[str, Any]:
    """Return a result as JSON (None when it has no such form, or is too long) and as a repr."""
    import json

    shown = _short().repr(result)[:_LONGEST_REPR]
    plain = result.tolist() if callable(getattr(result, "tolist", None)) else result
    try:
        text = json.dumps(plain, allow_nan=False)
        value = json.loads(text) if len(text) <= _LONGEST_RESULT else None
    except (TypeError, ValueError, RecursionError):
        value = None
    return {"result": value, "result_repr": shown, "failed": 0}


def measure_of(collect: Callable[[list[Any]], Any] | None) -> str:
    """Return the name of what is measured, that of `collect_f`; empty for one without a name."""
    while isinstance(collect, partial):
        collect = collect.func
    name = getattr(collect, "__name__", type(collect).__name__)
    return "" if collect is None or name == "<lambda>" else name


def _short() -> Any:
    import reprlib

    short = reprlib.Repr()
    short.maxstring = short.maxother = _LONGEST_REPR
    return short
