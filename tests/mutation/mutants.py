"""Small changes to a source text, each of which a test of the file should notice.

Python is changed by its syntax tree, one expression or statement at a time; the rest of the text
stays as it is. Of Lua only comparisons for equality and names of states are changed, by its words.
Nothing is changed that has no effect on what runs: docstrings, annotations, imports, log messages.
"""

from __future__ import annotations

import ast
import copy
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from rootward.orchestrator.states import DeploymentState, ReplicaState, TaskState

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUND: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_STATES: Final[dict[str, type[Enum]]] = {
    "TaskState": TaskState,
    "ReplicaState": ReplicaState,
    "DeploymentState": DeploymentState,
}
_NAMES: Final = tuple(dict.fromkeys(str(one.value) for kind in _STATES.values() for one in kind))
_LUA_WORD: Final = re.compile(rf"--.*|==|~=|'(?:{'|'.join(_NAMES)})'")
_ANNOTATIONS: Final = ("annotation", "returns", "decorator_list", "type_params")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One changed text: `operator` names the kind of change, `old` and `new` what was changed."""

    line: int
    operator: str
    old: str
    new: str
    text: str

    def __str__(self) -> str:
        """Return the change in one line."""
        old, new = (" ".join(part.split())[:70] for part in (self.old, self.new))
        return f"{self.operator}: {old} -> {new}"


def mutants(text: str, *, lua: bool = False) -> list[Mutant]:
    """Return every mutant of a source text, by line."""
    found = _of_lua(text) if lua else _of_python(text)
    return sorted(found, key=lambda mutant: (mutant.line, mutant.operator, mutant.old))


def _of_lua(text: str) -> Iterator[Mutant]:
    for found in _LUA_WORD.finditer(text):
        old = found[0]
        if old.startswith("--"):
            continue
        if old in {"==", "~="}:
            operator, new = "comparison", "~=" if old == "==" else "=="
        else:
            operator, new = "state", f"'{_other_state(old[1:-1])}'"
        line_start = text.rfind("\n", 0, found.start()) + 1
        line_end = text.find("\n", found.end())
        yield Mutant(
            line=text.count("\n", 0, found.start()) + 1,
            operator=operator,
            old=text[line_start:line_end].strip(),
            new=(text[line_start : found.start()] + new + text[found.end() : line_end]).strip(),
            text=text[: found.start()] + new + text[found.end() :],
        )


def _of_python(text: str) -> Iterator[Mutant]:
    for node in _running(ast.parse(text)):
        for operator, changed in _changes(node):
            yield _spliced(text, node, operator, changed)


def _running(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Yield what is executed and can be replaced in the text as it stands."""
    for name, value in ast.iter_fields(node):
        if name in _ANNOTATIONS:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_silent(child):
                continue
            if isinstance(child, (ast.expr, ast.stmt)):
                yield child
            yield from _running(child)


def _is_silent(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom() | ast.JoinedStr():
            # Positions inside of a formatted string aren't those of the text.
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="logger")))):
            return True
        case ast.Assign(targets=[ast.Name(id="logger" | "__all__")]):
            return True
    return False


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in _ROUND:
            yield "comparison", _with(node, ops=[_ROUND[type(op)]()])
        case ast.Constant(value=bool(value)):
            yield "boolean", ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield "number", ast.Constant(value + 1)
        case ast.Constant(value=str(value)) if value in _NAMES:
            yield "state", ast.Constant(_other_state(value))
        case ast.Attribute(value=ast.Name(id=kind), attr=name) if kind in _STATES:
            members = list(_STATES[kind].__members__)
            if name in members:
                following = members[(members.index(name) + 1) % len(members)]
                yield "state", _with(node, attr=following)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "boolean", operand
        case ast.BoolOp(op=op):
            yield "boolean", _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case (
            ast.Expr(value=ast.Call() | ast.Await())
            | ast.AugAssign()
            | ast.Raise()
            | ast.Continue()
            | ast.Break()
            | ast.Delete()
            | ast.Assign(targets=[ast.Attribute() | ast.Subscript()])
        ):
            yield "statement", ast.Pass()


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _other_state(name: str) -> str:
    """Return the next name of the same kind of state."""
    kind = next(kind for kind in _STATES.values() if name in {str(one.value) for one in kind})
    names = [str(one.value) for one in kind]
    return names[(names.index(name) + 1) % len(names)]


def _spliced(text: str, node: ast.expr | ast.stmt, operator: str, changed: ast.AST) -> Mutant:
    """Put the changed node where the node stood. Positions of the tree count bytes."""
    lines = text.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: (node.end_lineno or 0) - 1])) + (node.end_col_offset or 0)
    data = text.encode()
    new = ast.unparse(changed)
    if isinstance(changed, ast.expr):
        new = f"({new})"
    return Mutant(
        line=node.lineno,
        operator=operator,
        old=data[start:end].decode(),
        new=new,
        text=(data[:start] + new.encode() + data[end:]).decode(),
    )
