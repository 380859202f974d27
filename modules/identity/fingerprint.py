"""What a piece of syntax says, as a digest: without comments, docstrings and formatting.

It depends on nothing but the syntax: not on positions, and not on the version of Python, whose
newer nodes have fields that are empty for older code.
"""

from __future__ import annotations

import ast
import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

DIGEST_CHARACTERS: Final = 32
"""Hexadecimal digits of a digest: 128 bits."""
_SKIPPED: Final = frozenset({"ctx", "kind", "type_comment", "type_ignores", "lineno", "col_offset"})


def fingerprint(nodes: Iterable[ast.AST]) -> str:
    """Return the digest of syntax nodes, in their order."""
    sha = hashlib.sha256()
    # An explicit stack: an expression of a thousand terms is as deep.
    stack: list[object] = list(reversed(list(nodes)))
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            sha.update(item.encode("utf-8", "surrogatepass"))
        elif isinstance(item, ast.Constant):
            constant = f"({type(item.value).__name__} {item.value!r})"
            sha.update(constant.encode("utf-8", "surrogatepass"))
        elif isinstance(item, ast.AST) and not is_inert(item):
            sha.update(type(item).__name__.encode() + b"(")
            stack.append(")")
            for name in reversed(item._fields):
                value = getattr(item, name, None)
                if name in _SKIPPED or value is None or value == []:
                    continue
                stack.append("]")
                if isinstance(value, list):
                    # None stands in a list for `**` in a dict display and for no default.
                    stack.extend("none" if each is None else each for each in reversed(value))
                else:
                    stack.append(value if isinstance(value, ast.AST) else f"{value!r}")
                stack.append(f"[{name} ")
    return sha.hexdigest()[:DIGEST_CHARACTERS]


def digest_of(*parts: str) -> str:
    """Return the digest of texts, each with its length."""
    sha = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        sha.update(b"%d:" % len(raw))
        sha.update(raw)
    return sha.hexdigest()[:DIGEST_CHARACTERS]


def is_inert(node: ast.AST) -> bool:
    """Whether a statement does nothing at all: a docstring or another constant, `...`, `pass`."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Pass)
