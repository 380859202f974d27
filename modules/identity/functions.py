"""From a function's code object to its syntax, and a digest of code that has none."""

from __future__ import annotations

import ast
import types
from typing import TYPE_CHECKING

from .fingerprint import digest_of

if TYPE_CHECKING:
    from .sources import Function, SourceFile


def node_of(source: SourceFile, code: types.CodeType) -> Function | None:
    """Return the syntax of a function; None when the file doesn't have it, or has two on a line."""
    found = source.functions.get((code.co_firstlineno, code.co_name), ())
    if len(found) < 2:
        return found[0] if found else None
    # Several lambdas on one line: the one around all that the code says.
    spots = [
        (line, column)
        for line, _, column, _ in code.co_positions()
        if line is not None and column is not None and line >= code.co_firstlineno
    ]
    # The first instruction of a function stands at its line, before any column.
    spots = [spot for spot in spots if spot[1] > 0 or spot[0] > code.co_firstlineno]
    around = [node for node in found if spots and all(_holds(node, spot) for spot in spots)]
    return min(around, key=_extent) if around and _are_apart(around) else None


def _holds(node: Function, spot: tuple[int, int]) -> bool:
    body = node.body if isinstance(node, ast.Lambda) else node
    assert isinstance(body, ast.AST)
    first = body.lineno, body.col_offset
    last = body.end_lineno or 0, body.end_col_offset or 0
    return bool(first <= spot <= last)


def _extent(node: Function) -> tuple[int, int]:
    return (node.end_lineno or 0) - node.lineno, (node.end_col_offset or 0) - node.col_offset


def _are_apart(nodes: list[Function]) -> bool:
    """Whether one of the nodes stands inside of all others, so that the smallest is meant."""
    return len({_extent(node) for node in nodes}) == len(nodes)


def code_digest(code: types.CodeType) -> str:
    """Return the digest of compiled code, for what was typed in or generated.

    It holds for one version of Python: there is no source to go by.
    """
    consts = [
        code_digest(each) if isinstance(each, types.CodeType) else f"{type(each).__name__} {each!r}"
        for each in code.co_consts
        if not isinstance(each, frozenset)
    ]
    sets = [repr(sorted(map(repr, each))) for each in code.co_consts if isinstance(each, frozenset)]
    names = [*code.co_names, "", *code.co_varnames, "", *code.co_freevars]
    return digest_of(code.co_code.hex(), *consts, *sets, *names)
