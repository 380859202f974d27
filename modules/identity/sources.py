"""The parsed source files of a project: what each binds, and the functions and classes in it.

A file is parsed once a process, by the hash of its text. What can't be parsed, or isn't Python
source, counts by its bytes. Nothing is imported here.
"""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from .fingerprint import DIGEST_CHARACTERS, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KEPT: Final = 512
"""Parsed files that are kept for the next submission of this process."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One parsed file. `defined` are the definitions by qualified name, as `Class.method`.

    `functions` are found by first line and name, as a code object tells both. `imports` are names
    bound by an import: (module, attribute or None, level); `stars` modules of `import *`.
    """

    tree: ast.Module
    defined: Mapping[str, tuple[Definition, ...]] = field(default_factory=dict)
    functions: Mapping[tuple[int, str], tuple[Function, ...]] = field(default_factory=dict)
    imports: Mapping[str, tuple[str, str | None, int]] = field(default_factory=dict)
    stars: tuple[tuple[str, int], ...] = ()

    @cached_property
    def digest(self) -> str:
        """The digest of all that the file says."""
        return fingerprint([self.tree])

    @cached_property
    def names(self) -> frozenset[str]:
        """All names that stand in the file, bound or used."""
        return frozenset(node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name))


@lru_cache(maxsize=_KEPT)
def parse(text: bytes) -> SourceFile | None:
    """Return the parsed file; None for what is no Python of this version."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    defined: dict[str, list[Definition]] = {}
    functions: dict[tuple[int, str], list[Function]] = {}
    imports: dict[str, tuple[str, str | None, int]] = {}
    stars: list[tuple[str, int]] = []
    for node, scope in _scoped(tree):
        if isinstance(node, Definition):
            defined.setdefault(f"{scope}{node.name}", []).append(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            functions.setdefault((first, node.name), []).append(node)
        elif isinstance(node, ast.Lambda):
            functions.setdefault((node.lineno, "<lambda>"), []).append(node)
        elif not scope and isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                imports[alias.asname or top] = (alias.name if alias.asname else top, None, 0)
        elif not scope and isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name == "*":
                    stars.append((node.module or "", node.level))
                else:
                    place = (node.module or "", alias.name, node.level)
                    imports[alias.asname or alias.name] = place
    return SourceFile(
        tree=tree,
        defined={name: tuple(nodes) for name, nodes in defined.items()},
        functions={place: tuple(nodes) for place, nodes in functions.items()},
        imports=imports,
        stars=tuple(stars),
    )


def _scoped(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield every node with the qualified name of what it stands in, and a dot behind it."""
    stack: list[tuple[ast.AST, str]] = [(each, "") for each in reversed(tree.body)]
    while stack:
        node, scope = stack.pop()
        yield node, scope
        inner = scope
        if isinstance(node, ast.ClassDef):
            inner = f"{scope}{node.name}."
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = f"{scope}{node.name}.<locals>."
        elif isinstance(node, ast.Lambda):
            inner = f"{scope}<lambda>.<locals>."
        children = list(ast.iter_child_nodes(node))
        stack.extend((child, inner) for child in reversed(children))


class Sources:
    """The files that a submission takes along, by relative path, parsed when asked for."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        """Take the contents by path; nothing is parsed yet."""
        self.contents = contents
        self._written: dict[str, str] = {}

    def file(self, path: str) -> SourceFile | None:
        """Return a parsed file; None for what isn't there or is no source."""
        text = self.contents.get(path)
        return None if text is None or not path.endswith(".py") else parse(text)

    def digest(self, path: str) -> str:
        """Return the digest of one file: of its syntax, else of its bytes."""
        found = self.file(path)
        return self.written(path) if found is None else found.digest

    def written(self, path: str) -> str:
        """Return the digest of a file's bytes, found once."""
        if path not in self._written:
            self._written[path] = bytes_digest(self.contents[path])
        return self._written[path]


def bytes_digest(content: bytes) -> str:
    """Return the digest of bytes, as long as those of syntax."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]
