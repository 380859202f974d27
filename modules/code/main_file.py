"""The main file of a program, when its `__main__` can be imported elsewhere as a module.

As `multiprocessing` does, another process runs the file under the name `__mp_main__`, so that what
stands under `if __name__ == "__main__":` isn't run again. That is done only for a file that has
this guard and deploys from within it; any other `__main__` (a script without it, standard input, a
shell, a notebook) is sent by value, class by class.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast
    from collections.abc import Collection, Iterator
    from types import FrameType, ModuleType

    from .project import Project

ALIAS = "__mp_main__"
_LONGEST_TEXTS = 1 << 20

_by_name: frozenset[str] = frozenset()


def send_main_by_name(names: Collection[str]) -> None:
    """From now on, these of `__main__` go by name: other processes run its file as a module."""
    global _by_name
    _by_name = frozenset(names)


def names_sent() -> frozenset[str]:
    """Return what of `__main__` goes by name; nothing unless its file goes as a module."""
    return _by_name


@dataclass(frozen=True, slots=True, kw_only=True)
class MainFile:
    """A guarded main file: relative path, its name when it was run with `-m`, what it defines.

    `defined` are the names that are bound outside of the guard.
    """

    path: str
    module: str | None
    defined: frozenset[str]


@lru_cache(maxsize=4)
def _guards(source: bytes) -> tuple[tuple[range, ...], frozenset[str]]:
    """Return the lines of each guard of a main file, and the names that are bound outside of them.

    Kept, as a program may deploy many trees. Raises SyntaxError and ValueError.
    """
    import ast

    body = ast.parse(source).body
    guards = [node for node in body if _is_guard(node)]
    lines = tuple(range(node.lineno, (node.end_lineno or node.lineno) + 1) for node in guards)
    return lines, frozenset(
        name for node in body if node not in guards for name in _bound_names(node)
    )


def has_main_file() -> bool:
    """Whether this program is a file, and no shell, notebook or standard input."""
    return bool(getattr(sys.modules.get("__main__"), "__file__", None))


def main_file(project: Project) -> MainFile | None:
    """Return the main file of this program when it is one that can be imported elsewhere."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if main is None or not isinstance(file, str) or not file.endswith(".py"):
        return None
    path = os.path.abspath(file)
    if not project.owns(path):
        return None
    try:
        with open(path, "rb") as source:
            guards, defined = _guards(source.read())
    except (OSError, SyntaxError, ValueError):
        return None
    line = _running_line(main)
    if not guards or (line and not any(line in guard for guard in guards)):
        return None
    spec = getattr(main, "__spec__", None)
    return MainFile(
        path=project.relative(path), module=None if spec is None else spec.name, defined=defined
    )


def main_texts() -> dict[str, str]:
    """Return the sources of what `__main__` defines, by their file's name, as tracebacks show it.

    Also those of a shell's or a notebook's cells, as far as they are known; 1 MiB in all.
    """
    import linecache

    main = sys.modules["__main__"]
    files: dict[str, None] = {}
    for value in list(vars(main).values()):
        for each in (value, *(vars(value).values() if isinstance(value, type) else ())):
            if isinstance(each, FunctionType) and each.__module__ == "__main__":
                files[each.__code__.co_filename] = None
    texts: dict[str, str] = {}
    room = _LONGEST_TEXTS
    for file in files:
        text = "".join(linecache.getlines(file))
        room -= len(text)
        if text and room >= 0:
            texts[file] = text
    return texts


def _is_guard(node: ast.stmt) -> bool:
    import ast

    if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
        return False
    sides = [node.test.left, *node.test.comparators]
    names = {side.id for side in sides if isinstance(side, ast.Name)}
    texts = {side.value for side in sides if isinstance(side, ast.Constant)}
    is_equal = len(node.test.ops) == 1 and isinstance(node.test.ops[0], ast.Eq)
    return is_equal and names == {"__name__"} and texts == {"__main__"}


def _running_line(main: ModuleType) -> int:
    """Return the line of the main file that runs now in this thread; 0 when none does."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals is vars(main) and frame.f_code.co_name == "<module>":
            return frame.f_lineno
        frame = frame.f_back
    return 0


def _bound_names(node: ast.stmt) -> Iterator[str]:
    """Yield what a statement of a module binds; what is bound inside functions is none of it."""
    import ast

    stack: list[ast.AST] = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield each.name
            continue
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id
        if isinstance(each, ast.alias):
            yield (each.asname or each.name).partition(".")[0]
        if not isinstance(each, ast.Lambda):
            stack.extend(ast.iter_child_nodes(each))
