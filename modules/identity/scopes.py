"""Which names of its module a piece of code uses, and where it reaches for code by other ways.

Names are found by Python's own rules of scope, for functions, lambdas and comprehensions alike; a
name with what follows it (`consts.SCALE`) is one use. Of names that are bound inside it nothing is
returned. Nothing is imported or run here.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Use = tuple[str, tuple[str, ...]]
"""A global name, and the attributes that follow it."""

WIDE_NAMES: Final = frozenset(
    {"eval", "exec", "globals", "__import__", "open", "__builtins__", "execfile"}
)
"""Builtins that reach for what no name says."""
WIDE_ATTRIBUTES: Final = frozenset(
    {
        "open", "read_text", "read_bytes", "import_module", "exec_module", "load_module",
        "run_path", "run_module", "spec_from_file_location", "get_data", "__subclasses__",
        "__globals__", "f_globals", "find_class", "get_objects", "eval", "exec",
    }
)  # fmt: skip
WIDE_MODULES: Final = frozenset(
    {
        "importlib", "runpy", "pkgutil", "pkg_resources", "imp", "zipimport", "builtins", "gc",
        "pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "linecache", "subprocess",
        "code", "codeop", "__main__",
    }
)  # fmt: skip
"""Modules that import by name, read code, or run other programs."""
TEXT_ATTRIBUTES: Final = frozenset(
    {"__doc__", "getdoc", "getsource", "getsourcelines", "getcomments", "cleandoc"}
)
"""What shows comments and docstrings to the code itself."""
_SYSTEM: Final = frozenset({"system", "popen", "startfile"})
_Scoped = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImport:
    """An import inside of a function: its line, module, level, and what is taken from it."""

    line: int
    module: str
    level: int
    names: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Uses:
    """What a piece of code uses of its module.

    `wide` has (line, word) of what reaches for code that no name says, `texts` of what reads
    docstrings or sources, `imports` the imports inside functions.
    """

    names: dict[Use, int] = field(default_factory=dict)
    wide: list[tuple[int, str]] = field(default_factory=list)
    texts: list[tuple[int, str]] = field(default_factory=list)
    imports: list[LocalImport] = field(default_factory=list)


def uses_of(nodes: Iterable[ast.AST]) -> Uses:
    """Return what code uses that stands at the top of its module, or in a class there."""
    uses = Uses()
    for node in nodes:
        _visit(node, frozenset(), uses)
    return uses


def _visit(top: ast.AST, local: frozenset[str], uses: Uses) -> None:
    stack: list[tuple[ast.AST, frozenset[str]]] = [(top, local)]
    while stack:
        node, known = stack.pop()
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                _note_name(node, (), known, uses)
        elif isinstance(node, ast.Attribute):
            rest = _note_attribute(node, known, uses)
            if rest is not None:
                stack.append((rest, known))
        elif isinstance(node, ast.Global):
            for name in node.names:
                uses.names.setdefault((name, ()), node.lineno)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            _note_import(node, uses)
        else:
            stack.extend(_inside(node, known))


def _inside(node: ast.AST, known: frozenset[str]) -> list[tuple[ast.AST, frozenset[str]]]:
    """Return what stands in a node, each with the names that are local there."""
    if isinstance(node, _Scoped):
        return _inside_function(node, known)
    if isinstance(node, _Comprehension):
        targets = frozenset(
            each.id
            for part in node.generators
            for each in ast.walk(part.target)
            if isinstance(each, ast.Name)
        )
        first, *others = node.generators
        # What is iterated over first is evaluated outside.
        inner: list[ast.AST] = [first.target, *first.ifs, *others, *_elements(node)]
        return [(first.iter, known), *((each, known | targets) for each in inner)]
    return [(each, known) for each in ast.iter_child_nodes(node)]


def _elements(node: ast.AST) -> list[ast.AST]:
    return [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]  # type: ignore[attr-defined]


def _inside_function(node: _Scoped, known: frozenset[str]) -> list[tuple[ast.AST, frozenset[str]]]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    outside: list[ast.AST] = [*arguments.defaults, *filter(None, arguments.kw_defaults)]
    outside += [each.annotation for each in every if each.annotation is not None]
    body: list[ast.AST]
    if isinstance(node, ast.Lambda):
        body = [node.body]
    else:
        body = list(node.body)
        outside += [*node.decorator_list, *([node.returns] if node.returns is not None else [])]
        outside += getattr(node, "type_params", [])
    bound, declared = _bound(body)
    inner = (known | bound | {each.arg for each in every}) - declared
    return [*((each, known) for each in outside), *((each, inner) for each in body)]


def _bound(body: Iterable[ast.AST]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a function's body binds, and those that it declares global."""
    bound: set[str] = set()
    declared: set[str] = set()
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                bound.add(node.id)
            continue
        if isinstance(node, ast.Global):
            declared.update(node.names)
        elif (isinstance(node, ast.ExceptHandler) and node.name) or (
            isinstance(node, ast.MatchAs | ast.MatchStar) and node.name
        ):
            bound.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            bound.add(node.rest)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound.update((each.asname or each.name).partition(".")[0] for each in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
            continue
        elif isinstance(node, ast.Lambda):
            continue
        elif isinstance(node, _Comprehension):
            # Its targets are its own; what `:=` binds in it is the function's.
            stack.extend(each for each in ast.walk(node) if isinstance(each, ast.NamedExpr))
            continue
        stack.extend(ast.iter_child_nodes(node))
    return frozenset(bound), frozenset(declared)


def _note_name(node: ast.Name, chain: tuple[str, ...], known: frozenset[str], uses: Uses) -> None:
    if node.id not in known:
        uses.names.setdefault((node.id, chain), node.lineno)


def _note_attribute(node: ast.Attribute, known: frozenset[str], uses: Uses) -> ast.AST | None:
    """Note a chain of attributes; return what it begins with unless that is a name."""
    chain: list[str] = []
    base: ast.AST = node
    while isinstance(base, ast.Attribute):
        chain.append(base.attr)
        if base.attr in WIDE_ATTRIBUTES:
            uses.wide.append((base.lineno, base.attr))
        elif base.attr in TEXT_ATTRIBUTES:
            uses.texts.append((base.lineno, base.attr))
        base = base.value
    if not isinstance(base, ast.Name):
        return base
    words = tuple(reversed(chain))
    is_system = base.id == "os" and (words[0] in _SYSTEM or words[0].startswith(("exec", "spawn")))
    if is_system or (base.id == "sys" and words[0] == "modules"):
        uses.wide.append((base.lineno, f"{base.id}.{words[0]}"))
    _note_name(base, words, known, uses)
    return None


def _note_import(node: ast.Import | ast.ImportFrom, uses: Uses) -> None:
    if isinstance(node, ast.Import):
        for each in node.names:
            found = LocalImport(line=node.lineno, module=each.name, level=0, names=())
            uses.imports.append(found)
    else:
        names = tuple(each.name for each in node.names)
        uses.imports.append(
            LocalImport(line=node.lineno, module=node.module or "", level=node.level, names=names)
        )


def calls_in(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that run when a statement does: not those of functions that it defines."""
    stack: list[ast.AST] = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, ast.Call):
            yield each
        if isinstance(each, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef):
            stack.extend([*each.args.defaults, *filter(None, each.args.kw_defaults)])
            stack.extend(getattr(each, "decorator_list", ()))
        else:
            stack.extend(ast.iter_child_nodes(each))
