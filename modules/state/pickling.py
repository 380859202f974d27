"""The pickler of trees and values: what it does beyond cloudpickle.

A function that can't be named (a lambda, a closure) keeps the globals of its real module instead of
a copy of those that it uses, and of a main file that is run as a module elsewhere classes and
functions go by name. Everything else is cloudpickle's.
"""

from __future__ import annotations

import functools
import sys
from types import CodeType, FunctionType
from typing import Any

from ..code.main_file import ALIAS, names_sent
from .main_values import recipe

_LRU_CACHE = type(functools.lru_cache(len))


@functools.cache
def pickler_class() -> Any:
    """Return the class; made at first use, as most values never need cloudpickle."""
    import cloudpickle

    class CodePickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            kind = type(obj)
            if kind is FunctionType or isinstance(obj, type):
                if _goes_by_name(obj):
                    return obj.__qualname__
                reduced = super().reducer_override(obj)
                if kind is FunctionType and isinstance(reduced, tuple):
                    return _within_module(obj, reduced)
                return reduced
            if kind is _LRU_CACHE and obj.__module__ == "__main__" and not _goes_by_name(obj):
                return _cached, (obj.__wrapped__, *obj.cache_parameters().values())
            if not names_sent() and (made := recipe(obj)) is not None:
                return made
            return super().reducer_override(obj)

    return CodePickler


def _goes_by_name(obj: Any) -> bool:
    if obj.__module__ != "__main__" or obj.__qualname__.partition(".")[0] not in names_sent():
        return False
    found: Any = sys.modules["__main__"]
    for part in obj.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is obj


def _within_module(function: FunctionType, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """Let a function that goes by value find its globals in its module, where it arrives."""
    name = _home_of(function)
    if name is None:
        return reduced
    _, (code, *_), (attributes, slots), _, _, restore = reduced
    cells = len(code.co_freevars) if function.__closure__ is not None else None
    slots = {**slots, "__globals__": {}}
    return _function_of, (name, code, cells), (attributes, slots), None, None, restore


def _home_of(function: FunctionType) -> str | None:
    """Return the module whose globals a function uses, if another process can import it."""
    import cloudpickle

    name = function.__globals__.get("__name__")
    if not isinstance(name, str):
        return None
    module = sys.modules.get(name)
    if module is None or vars(module) is not function.__globals__:
        return None
    if name == "__main__":
        return ALIAS if names_sent() else None
    registry = cloudpickle.list_registry_pickle_by_value()
    by_value = any(name == each or name.startswith(f"{each}.") for each in registry)
    is_known = name == ALIAS or getattr(module, "__spec__", None) is not None
    return name if is_known and not by_value else None


def _function_of(name: str, code: CodeType, cells: int | None) -> FunctionType:
    import importlib
    from types import CellType

    module = importlib.import_module(name)
    file = getattr(module, "__file__", None)
    if file:
        code = _moved(code, file)
    closure = None if cells is None else tuple(CellType() for _ in range(cells))
    return FunctionType(code, vars(module), None, None, closure)


def _moved(code: CodeType, file: str) -> CodeType:
    """Return the code with the place of its source here, also in the functions inside it."""
    consts = tuple(_moved(c, file) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.replace(co_filename=file, co_consts=consts)


def _cached(function: Any, maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(function)
