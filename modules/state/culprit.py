"""Why a tree can't travel: the attribute, or the global, that can't be pickled.

Found by trying each alone, after the whole has failed. A module whose class comes from a main
program that travels by value takes along the globals that its methods use; the one to blame is
named, and not the attribute by which it was reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from ..errors import NotPortable
from .attributes import attributes_of

if TYPE_CHECKING:
    from ..tree import Tree

Dump = Callable[[Any], object]
"""Pickles a value, or raises whatever the refusal is."""


def culprit(tree: Tree, dump: Dump, error: Exception) -> NotPortable:
    """Return the error that names what of the tree can't be pickled by `dump`."""
    from ..evaluation.evalset import EvalSet

    for node in tree.nodes:
        for name, value in attributes_of(node.module).items():
            if name not in node.module.local_attributes and not _travels(dump, value):
                found = _global_of(value, dump, set())
                if found is None and isinstance(value, EvalSet):
                    refused = value.refused(partial(_travels, dump))
                    return NotPortable.of_evalset(node.path, refused)
                return _of_global(node.path, found) if found else NotPortable(node.path, name)
        if not _travels(dump, type(node.module)):
            found = _global_of(node.module, dump, set())
            if found is not None:
                return _of_global(node.path, found)
    return NotPortable(tree.name, f"{type(error).__name__}: {error}")


def _travels(dump: Dump, value: object) -> bool:
    try:
        dump(value)
    except Exception:
        # Any refusal to be pickled names the culprit.
        return False
    return True


def _of_global(path: str, found: tuple[str, Any]) -> NotPortable:
    name, value = found
    return NotPortable.of_global(path, name, type(value).__name__)


def _global_of(value: Any, dump: Dump, seen: set[int]) -> tuple[str, Any] | None:
    """Return the global that a value's own code uses and that can't be pickled."""
    for function in _functions(value):
        if id(function) in seen or function.__module__ != "__main__":
            continue
        seen.add(id(function))
        for name in _names(function.__code__):
            used = function.__globals__.get(name)
            if used is None or _travels(dump, used):
                continue
            return _global_of(used, dump, seen) or (name, used)
    return None


def _functions(value: Any) -> Iterator[FunctionType]:
    if isinstance(value, MethodType):
        value = value.__func__
    if isinstance(value, FunctionType):
        yield value
        return
    for base in (value if isinstance(value, type) else type(value)).__mro__:
        for member in vars(base).values():
            inner = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
            inner = getattr(inner, "__wrapped__", inner)
            if isinstance(inner, FunctionType):
                yield inner


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _names(const)
