"""How modules and flows look: one line each, drawn as a tree.

`make_repr` is the form of a line with what is below it, also for users' own `__repr__`.  `draw`
puts a whole tree together without recursion; a class that writes its own `__repr__` is asked for
it.  What is held twice is drawn in full once and as its own line after that, so that a drawing is
never longer than the tree, and one of a cycle ends.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Final

# Deeper ones are left out: each level indents all lines below it by four characters.
_DEEPEST: Final = 100


def make_repr(
    category: str,
    type: str | type,  # noqa: A002 - the users' name for it
    *,
    name: str | None = None,
    subs: Iterable[str] | None = None,
    attrs: Mapping[str, Any] | None = None,
    **kw: Any,
) -> str:
    """Return `<CATEGORY type=TYPE name=NAME KEY=VALUE ...>` with the texts of `subs` drawn below.

    A class as `type` stands for its name; `attrs` and keywords are the same thing.
    """
    line = _line(category, type, name, {**(attrs or {}), **kw})
    return "\n".join([line, *_branches([sub.strip().split("\n") for sub in subs or ()])])


def own_line(thing: object) -> str:
    """Return the first line of what `repr` gives: the thing itself without what is below it."""
    return _outline(thing)[0][0]


def draw(thing: object) -> str:
    """Return the lines of a module or a flow and of everything below it."""
    lines: list[str] = []
    drawn: set[int] = set()
    # (what, before its first line, before its other lines and those below, depth)
    stack: list[tuple[object, str, str, int]] = [(thing, "", "", 0)]
    while stack:
        current, first, rest, depth = stack.pop()
        own, below = _outline(current)
        lines.append(first + own[0])
        if id(current) in drawn:
            continue
        lines.extend(rest + line for line in own[1:])
        if not below:
            continue
        drawn.add(id(current))
        if depth == _DEEPEST:
            lines.append(f"{rest}└- ...")
            continue
        last = len(below) - 1
        for index in range(last, -1, -1):
            lead, follow = _leads(is_last=index == last)
            stack.append((below[index], rest + lead, rest + follow, depth + 1))
    return "\n".join(lines)


def _line(category: str, kind: str | type, name: object, attrs: Mapping[str, Any]) -> str:
    words = [f"<{category} type={kind if isinstance(kind, str) else kind.__name__}"]
    if name:
        words.append(f"name={name}")
    words += [f"{key}={value}" for key, value in attrs.items()]
    return " ".join(words) + ">"


def _leads(*, is_last: bool) -> tuple[str, str]:
    return ("└- ", "    ") if is_last else ("|- ", "|   ")


def _branches(subs: Sequence[Sequence[str]]) -> list[str]:
    lines = []
    for index, sub in enumerate(subs):
        lead, follow = _leads(is_last=index == len(subs) - 1)
        lines.append(lead + sub[0])
        lines += [follow + line for line in sub[1:]]
    return lines


def _outline(thing: object) -> tuple[list[str], Sequence[object]]:
    """Return the thing's own lines and what is to be drawn below them."""
    # Modules, flows and bound functions say it themselves.
    parts = getattr(type(thing), "_outline", None)
    if parts is not None:
        line, below = parts(thing)
        return line.split("\n"), below
    return [_function_line(thing)], ()


def _function_line(function: object) -> str:
    name = getattr(function, "__name__", None)
    if isinstance(name, str):
        return _line("Function", type(function), name.strip("<>"), {})
    return _line("Function", type(function), None, {})
